// SPDX-License-Identifier: GPL-2.0
/* A Thunderbolt bus without a controller, for deploy/test-kernel: the devices, types, attributes, uevents and network interface
 * that the kernel's own driver has, made and removed by command. Follows drivers/thunderbolt/{domain,switch,xdomain}.c and
 * drivers/net/thunderbolt.c. Not together with the real module; never on a real machine.
 *
 * nhi=, port=: PCI addresses of the functions that stand for controllers, and the root port that each serves ("-": the firmware
 * does not tell). Each gets a domain with its host router. The peer's end of each cable is the interface far0.
 *
 * /dev/fake-thunderbolt takes one command a write; its error is the command's:
 *   router NAME DEVICE_ID VENDOR MODEL   "router 0-1 0x1100 ACME Box"; NAME is DOMAIN-ROUTE, below the host router
 *   xdomain NAME PEER                    another host, its network service and the interface of that
 *   lanes NAME COUNT                     the link of a router trains anew, and a change uevent
 *   storm NAME COUNT                     that many change uevents
 *   remove NAME
 * It is read for the time (CLOCK_MONOTONIC, ns) at which the last device of the bus was about to be told as removed: the uevent of
 * that comes at once behind it (drivers/base/core.c device_del()).
 */
#include <linux/device.h>
#include <linux/etherdevice.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define MAX_DOMAINS 4
#define TEXT 40

struct node {
	struct list_head link;
	struct device device;
	struct node *service; /* of an xdomain */
	unsigned int id, lanes;
	char vendor[TEXT], model[TEXT];
};

static char *nhi[MAX_DOMAINS], *port[MAX_DOMAINS];
static int domains, ports;
module_param_array(nhi, charp, &domains, 0444);
module_param_array(port, charp, &ports, 0444);

static struct bus_type bus = { .name = "thunderbolt" };
static LIST_HEAD(nodes);
static DEFINE_MUTEX(lock); /* nodes, and that commands come one at a time */
static struct node *host_routers[MAX_DOMAINS];
static u64 removed_ns;

static struct node *to_node(struct device *d)
{
	return container_of(d, struct node, device);
}

/* ---- attributes ---- */

#define ATTRIBUTE(name, format, value)                                                                                      \
	static ssize_t name##_show(struct device *d, struct device_attribute *a, char *out)                                 \
	{                                                                                                                   \
		struct node *n = to_node(d);                                                                                \
		return sysfs_emit(out, format "\n", value);                                                                 \
	}                                                                                                                   \
	static DEVICE_ATTR_RO(name)

ATTRIBUTE(authorized, "%d", n ? 1 : 0);
ATTRIBUTE(device, "0x%x", n->id);
ATTRIBUTE(device_name, "%s", n->model);
ATTRIBUTE(generation, "%d", n ? 4 : 0);
ATTRIBUTE(iommu_dma_protection, "%d", n ? 1 : 0);
ATTRIBUTE(key, "%s", n ? "network" : "");
ATTRIBUTE(rx_lanes, "%u", n->lanes);
ATTRIBUTE(rx_speed, "%s", n->lanes ? "20.0 Gb/s" : "");
ATTRIBUTE(security, "%s", n ? "none" : "");
ATTRIBUTE(tx_lanes, "%u", n->lanes);
ATTRIBUTE(tx_speed, "%s", n->lanes ? "20.0 Gb/s" : "");
ATTRIBUTE(unique_id, "c0010000-0080-7f18-83cb-%012x", n->id);
ATTRIBUTE(vendor, "0x%x", n ? 0x1234 : 0);
ATTRIBUTE(vendor_name, "%s", n->vendor);

static struct attribute *domain_attrs[] = { &dev_attr_security.attr, &dev_attr_iommu_dma_protection.attr, NULL };
static struct attribute *router_attrs[] = { &dev_attr_authorized.attr, &dev_attr_device.attr, &dev_attr_device_name.attr,
	&dev_attr_generation.attr, &dev_attr_rx_lanes.attr, &dev_attr_rx_speed.attr, &dev_attr_tx_lanes.attr,
	&dev_attr_tx_speed.attr, &dev_attr_unique_id.attr, &dev_attr_vendor.attr, &dev_attr_vendor_name.attr, NULL };
static struct attribute *xdomain_attrs[] = { &dev_attr_device.attr, &dev_attr_device_name.attr, &dev_attr_rx_lanes.attr,
	&dev_attr_rx_speed.attr, &dev_attr_tx_lanes.attr, &dev_attr_tx_speed.attr, &dev_attr_unique_id.attr,
	&dev_attr_vendor.attr, &dev_attr_vendor_name.attr, NULL };
static struct attribute *service_attrs[] = { &dev_attr_key.attr, NULL };
ATTRIBUTE_GROUPS(domain);
ATTRIBUTE_GROUPS(router);
ATTRIBUTE_GROUPS(xdomain);
ATTRIBUTE_GROUPS(service);

static void release(struct device *d)
{
	kfree(to_node(d));
}

static struct device_type domain_type = { .name = "thunderbolt_domain", .groups = domain_groups, .release = release };
static struct device_type router_type = { .name = "thunderbolt_device", .groups = router_groups, .release = release };
static struct device_type xdomain_type = { .name = "thunderbolt_xdomain", .groups = xdomain_groups, .release = release };
static struct device_type service_type = { .name = "thunderbolt_service", .groups = service_groups, .release = release };

/* ---- the cable's network interface ---- */

static struct net_device *far;
static struct net_device __rcu *near; /* of the xdomain that came last */

static netdev_tx_t transmit(struct sk_buff *skb, struct net_device *from)
{
	struct net_device *to;

	rcu_read_lock();
	to = from == far ? rcu_dereference(near) : far;
	if (to)
		dev_forward_skb(to, skb);
	else
		kfree_skb(skb);
	rcu_read_unlock();
	return NETDEV_TX_OK;
}

/* Both ends have a carrier while both are up. Under RTNL. */
static void follow_carrier(struct net_device *other, bool up)
{
	struct net_device *n = rtnl_dereference(near);
	bool on = n && up && (n->flags & IFF_UP || other == n) && (far->flags & IFF_UP || other == far);

	if (n)
		(on ? netif_carrier_on : netif_carrier_off)(n);
	(on ? netif_carrier_on : netif_carrier_off)(far);
}

static int opened(struct net_device *d)
{
	follow_carrier(d, true);
	return 0;
}

static int stopped(struct net_device *d)
{
	follow_carrier(d, false);
	return 0;
}

static const struct net_device_ops interface_ops = { .ndo_open = opened, .ndo_stop = stopped, .ndo_start_xmit = transmit };

static void set_up_interface(struct net_device *d)
{
	ether_setup(d);
	d->netdev_ops = &interface_ops;
	d->max_mtu = 65522;
	d->needs_free_netdev = true;
	eth_hw_addr_random(d);
}

static struct net_device *interface_create(const char *name, struct device *parent)
{
	struct net_device *d = alloc_netdev(0, name, NET_NAME_ENUM, set_up_interface);

	if (!d)
		return NULL;
	SET_NETDEV_DEV(d, parent);
	netif_carrier_off(d);
	if (register_netdev(d)) {
		free_netdev(d);
		return NULL;
	}
	return d;
}

/* The driver of the network service, bound as the real one is. */
static int service_probe(struct device *d)
{
	struct net_device *n;

	if (d->type != &service_type)
		return -ENODEV;
	n = interface_create("thunderbolt%d", d);
	if (!n)
		return -ENOMEM;
	rcu_assign_pointer(near, n);
	dev_set_drvdata(d, n);
	return 0;
}

static int service_remove(struct device *d)
{
	struct net_device *n = dev_get_drvdata(d);

	rtnl_lock();
	dev_close(n);
	RCU_INIT_POINTER(near, NULL);
	rtnl_unlock();
	unregister_netdev(n); /* waits for transmit() */
	return 0;
}

static void service_removed(struct device *d)
{
	service_remove(d);
}

static struct device_driver service_driver = { .name = "thunderbolt-net",
	.bus = &bus,
	.probe = service_probe,
	.remove = _Generic(((struct device_driver *)0)->remove, int (*)(struct device *)
			   : service_remove, default
			   : service_removed) };

/* ---- devices ---- */

static struct node *find(const char *name)
{
	struct node *n;

	list_for_each_entry(n, &nodes, link) if (strcmp(dev_name(&n->device), name) == 0) return n;
	return NULL;
}

static struct node *node_create(struct device *parent, struct device_type *type, const char *name, unsigned int id,
	const char *vendor, const char *model)
{
	struct node *n = find(name) ? NULL : kzalloc(sizeof *n, GFP_KERNEL);

	if (!n)
		return NULL;
	n->id = id;
	n->lanes = 2;
	strscpy(n->vendor, vendor, sizeof n->vendor);
	strscpy(n->model, model, sizeof n->model);
	device_initialize(&n->device);
	n->device.parent = parent;
	n->device.bus = &bus;
	n->device.type = type;
	if (dev_set_name(&n->device, "%s", name) || device_add(&n->device)) {
		put_device(&n->device);
		return NULL;
	}
	list_add(&n->link, &nodes);
	return n;
}

static void node_remove(struct node *n)
{
	list_del(&n->link);
	if (n->service)
		node_remove(n->service);
	device_unregister(&n->device);
}

static int add(const char *name, struct device_type *type, unsigned int id, const char *vendor, const char *model)
{
	unsigned int domain, route;
	char service[TEXT + 2];
	struct node *n;

	if (sscanf(name, "%u-%x", &domain, &route) != 2 || domain >= MAX_DOMAINS || !host_routers[domain])
		return -EINVAL;
	n = node_create(&host_routers[domain]->device, type, name, id, vendor, model);
	if (!n)
		return -EEXIST;
	if (type != &xdomain_type)
		return 0;
	snprintf(service, sizeof service, "%s.0", name);
	n->service = node_create(&n->device, &service_type, service, 0, "", "");
	return n->service ? 0 : -ENOMEM;
}

static int run(const char *line)
{
	char name[TEXT], vendor[TEXT], model[TEXT];
	unsigned int number;
	struct node *n;

	if (sscanf(line, "router %39s %x %39s %39s", name, &number, vendor, model) == 4)
		return add(name, &router_type, number, vendor, model);
	if (sscanf(line, "xdomain %39s %39s", name, model) == 2)
		return add(name, &xdomain_type, 1, "Linux", model);
	if (sscanf(line, "%*s %39s", name) != 1)
		return -EINVAL;
	n = find(name);
	if (!n)
		return -ENOENT;
	if (sscanf(line, "lanes %*s %u", &number) == 1) {
		n->lanes = number;
		return kobject_uevent(&n->device.kobj, KOBJ_CHANGE);
	}
	if (sscanf(line, "storm %*s %u", &number) == 1) {
		while (number-- > 0)
			kobject_uevent(&n->device.kobj, KOBJ_CHANGE);
		return 0;
	}
	if (strncmp(line, "remove ", 7) != 0)
		return -EINVAL;
	node_remove(n);
	return 0;
}

static int see_removal(struct notifier_block *b, unsigned long what, void *device)
{
	if (what == BUS_NOTIFY_REMOVED_DEVICE && ((struct device *)device)->type == &router_type)
		WRITE_ONCE(removed_ns, ktime_get_ns());
	return NOTIFY_DONE;
}

static struct notifier_block removals = { .notifier_call = see_removal };

static ssize_t control_read(struct file *f, char __user *out, size_t size, loff_t *at)
{
	char text[24];
	int length = snprintf(text, sizeof text, "%llu\n", READ_ONCE(removed_ns));

	return simple_read_from_buffer(out, size, at, text, length);
}

static ssize_t control_write(struct file *f, const char __user *text, size_t size, loff_t *at)
{
	char *line = memdup_user_nul(text, min_t(size_t, size, 256));
	int r;

	if (IS_ERR(line))
		return PTR_ERR(line);
	mutex_lock(&lock);
	r = run(line);
	mutex_unlock(&lock);
	kfree(line);
	return r < 0 ? r : size;
}

static const struct file_operations control_ops = { .owner = THIS_MODULE, .read = control_read, .write = control_write };
static struct miscdevice control = { .minor = MISC_DYNAMIC_MINOR, .name = "fake-thunderbolt", .fops = &control_ops };

static struct pci_dev *find_function(const char *address)
{
	unsigned int domain, number, slot, function;

	if (sscanf(address, "%x:%x:%x.%x", &domain, &number, &slot, &function) != 4)
		return NULL;
	return pci_get_domain_bus_and_slot(domain, number, PCI_DEVFN(slot, function));
}

static int domain_create(int i)
{
	struct pci_dev *controller = find_function(nhi[i]), *served = i < ports ? find_function(port[i]) : NULL;
	struct node *domain;
	char name[TEXT];

	if (!controller)
		return -ENODEV;
	snprintf(name, sizeof name, "domain%d", i);
	domain = node_create(&controller->dev, &domain_type, name, 0, "", "");
	if (!domain)
		return -ENOMEM;
	snprintf(name, sizeof name, "%d-0", i);
	host_routers[i] = node_create(&domain->device, &router_type, name, i, "Host", "Router");
	/* As tb_acpi_add_links() does where the firmware tells. */
	if (served && !device_link_add(&served->dev, &controller->dev, DL_FLAG_STATELESS))
		return -EINVAL;
	return host_routers[i] ? 0 : -ENOMEM;
}

/* The machine ends with the test: what an error leaves behind stays, and there is no way to unload it. */
static int __init start(void)
{
	int i, r = bus_register(&bus);

	if (r == 0)
		r = driver_register(&service_driver);
	if (r == 0)
		r = bus_register_notifier(&bus, &removals);
	far = r == 0 ? interface_create("far0", NULL) : NULL;
	if (!far)
		return r ? r : -ENOMEM;
	for (i = 0; i < domains && r == 0; i++)
		r = domain_create(i);
	return r ? r : misc_register(&control);
}
module_init(start);

MODULE_DESCRIPTION("A Thunderbolt bus without hardware");
MODULE_LICENSE("GPL");
