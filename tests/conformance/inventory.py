#!/usr/bin/python3
"""Prints what the first device of the Vulkan loader has, as JSON: device extensions, features, device commands.

usage: inventory.py vk.xml

Features are asked for struct by struct, as vk.xml knows them; a struct that a driver leaves alone counts as false. Commands are those that
vkGetDeviceProcAddr knows on a device with all extensions.
"""

import ctypes
import json
import sys
import xml.etree.ElementTree as ElementTree

API = 1 << 22 | 3 << 12
BYTES = 1024  # more than any features struct has
POINTER = ctypes.c_void_p


class ApplicationInfo(ctypes.Structure):
    _fields_ = [("sType", ctypes.c_int), ("pNext", POINTER), ("name", ctypes.c_char_p), ("version", ctypes.c_uint32),
                ("engine", ctypes.c_char_p), ("engineVersion", ctypes.c_uint32), ("apiVersion", ctypes.c_uint32)]


class InstanceCreateInfo(ctypes.Structure):
    _fields_ = [("sType", ctypes.c_int), ("pNext", POINTER), ("flags", ctypes.c_uint32), ("app", ctypes.POINTER(ApplicationInfo)),
                ("layerCount", ctypes.c_uint32), ("layers", POINTER), ("extensionCount", ctypes.c_uint32), ("extensions", POINTER)]


class ExtensionProperties(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char * 256), ("version", ctypes.c_uint32)]


class QueueCreateInfo(ctypes.Structure):
    _fields_ = [("sType", ctypes.c_int), ("pNext", POINTER), ("flags", ctypes.c_uint32), ("family", ctypes.c_uint32),
                ("count", ctypes.c_uint32), ("priorities", ctypes.POINTER(ctypes.c_float))]


class DeviceCreateInfo(ctypes.Structure):
    _fields_ = [("sType", ctypes.c_int), ("pNext", POINTER), ("flags", ctypes.c_uint32), ("queueCount", ctypes.c_uint32),
                ("queues", ctypes.POINTER(QueueCreateInfo)), ("layerCount", ctypes.c_uint32), ("layers", POINTER),
                ("extensionCount", ctypes.c_uint32), ("extensions", ctypes.POINTER(ctypes.c_char_p)), ("features", POINTER)]


class FeaturesStruct(ctypes.Structure):
    _fields_ = [("sType", ctypes.c_int), ("pNext", POINTER), ("values", ctypes.c_uint32 * (BYTES // 4))]


def check(result, what):
    if result < 0:
        sys.exit(f"{what}: VkResult {result}")


def extension_number(extension, element):
    return 1000000000 + (int(element.get("extnumber") or extension) - 1) * 1000 + int(element.get("offset"))


def read_registry(path):
    """Features structs as name -> (sType, members), core ones first; names of device commands."""
    root = ElementTree.parse(path).getroot()
    values = {e.get("name"): int(e.get("value")) for e in root.iterfind("enums[@name='VkStructureType']/enum") if e.get("value")}
    for extension in root.iterfind("extensions/extension"):
        for e in extension.iterfind("require/enum[@extends='VkStructureType']"):
            if e.get("offset"):
                values.setdefault(e.get("name"), extension_number(extension.get("number"), e))
    for e in root.iterfind("feature/require/enum[@extends='VkStructureType']"):
        if e.get("value"):
            values[e.get("name")] = int(e.get("value"))
        elif e.get("offset"):
            values[e.get("name")] = extension_number(None, e)
    structs, core = {}, []
    for e in root.iterfind("types/type[@category='struct']"):
        members = [(m.findtext("type"), m.findtext("name")) for m in e.findall("member") if m.get("api") in (None, "vulkan")]
        if e.get("name") == "VkPhysicalDeviceFeatures":
            core = [name for _, name in members]
        if "VkPhysicalDeviceFeatures2" in (e.get("structextends") or "").split(","):
            stype = e.find("member").get("values")
            if stype in values and all(kind == "VkBool32" for kind, _ in members[2:]):
                structs[e.get("name")] = (values[stype], [name for _, name in members[2:]])
    commands = set()
    for e in root.iterfind("commands/command"):
        first = e.findtext("param/type")
        if first in ("VkDevice", "VkQueue", "VkCommandBuffer"):
            commands.add(e.findtext("proto/name"))
    commands |= {e.get("name") for e in root.iterfind("commands/command[@alias]") if e.get("alias") in commands}
    return core, structs, sorted(commands)


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    core, structs, commands = read_registry(arguments[0])
    vk = ctypes.CDLL("libvulkan.so.1")
    vk.vkGetDeviceProcAddr.restype = POINTER
    app = ApplicationInfo(sType=0, apiVersion=API)
    instance, physical, count = POINTER(), POINTER(), ctypes.c_uint32(1)
    check(vk.vkCreateInstance(ctypes.byref(InstanceCreateInfo(sType=1, app=ctypes.pointer(app))), None, ctypes.byref(instance)),
          "vkCreateInstance")
    check(vk.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), ctypes.byref(physical)), "vkEnumeratePhysicalDevices")
    if not physical:
        sys.exit("no device")

    check(vk.vkEnumerateDeviceExtensionProperties(physical, None, ctypes.byref(count), None), "vkEnumerateDeviceExtensionProperties")
    found = (ExtensionProperties * count.value)()
    check(vk.vkEnumerateDeviceExtensionProperties(physical, None, ctypes.byref(count), found), "vkEnumerateDeviceExtensionProperties")
    extensions = sorted(e.name.decode() for e in found)

    features = set()
    chain = {name: FeaturesStruct(sType=stype) for name, (stype, _) in structs.items()}
    pieces = list(chain.values())
    for piece, following in zip(pieces, pieces[1:]):
        piece.pNext = ctypes.addressof(following)
    head = FeaturesStruct(sType=1000059000, pNext=ctypes.addressof(pieces[0]))
    vk.vkGetPhysicalDeviceFeatures2(physical, ctypes.byref(head))
    features |= {name for name, value in zip(core, head.values) if value}
    by_struct = {}
    for name, (_, members) in structs.items():
        by_struct[name] = {member: bool(value) for member, value in zip(members, chain[name].values)}
        features |= {member for member, value in by_struct[name].items() if value}

    priority = ctypes.c_float(1)
    queue = QueueCreateInfo(sType=2, count=1, priorities=ctypes.pointer(priority))
    names = (ctypes.c_char_p * len(extensions))(*[e.encode() for e in extensions if e != "VK_EXT_buffer_device_address"])
    enabled = sum(1 for name in names if name)
    device = POINTER()
    check(vk.vkCreateDevice(physical, ctypes.byref(DeviceCreateInfo(sType=3, queueCount=1, queues=ctypes.pointer(queue),
                                                                    extensionCount=enabled, extensions=names)),
                            None, ctypes.byref(device)), "vkCreateDevice")
    present = [name for name in commands if vk.vkGetDeviceProcAddr(device, name.encode())]
    vk.vkDestroyDevice(device, None)
    vk.vkDestroyInstance(instance, None)
    json.dump({"extensions": extensions, "features": sorted(features), "structs": by_struct, "commands": present}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
