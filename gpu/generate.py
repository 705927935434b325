#!/usr/bin/python3
"""Writes the tables of device descriptions from vk.xml: which structs to ask for and when, the names of their members, what
several devices have in common of each, and what each SPIR-V capability needs.

usage: generate.py vk.xml structs.txt spirv.h OUTPUT.c
"""

import re
import sys
import xml.etree.ElementTree as ElementTree


def api_version(feature):
    """VK_VERSION_1_2 is VK_API_VERSION_1_2; a newer vk.xml splits it into VK_BASE_VERSION_1_2 and others."""
    return re.sub(r"VK_([A-Z]+_)?VERSION", "VK_API_VERSION", feature)


def read_structs(root):
    """name -> [(type, member name, is array or pointer)], and alias -> name"""
    structs, aliases, stypes = {}, {}, {}
    for element in root.iterfind("types/type[@category='struct']"):
        name = element.get("name")
        if element.get("alias"):
            aliases[name] = element.get("alias")
            continue
        members = []
        for m in element.findall("member"):
            if m.get("values"):
                stypes[name] = m.get("values")
            text = "".join(m.itertext())
            members.append((m.findtext("type"), m.findtext("name"), "*" in text or "[" in text))
        structs[name] = members
    return structs, aliases, stypes


def read_origins(root, aliases):
    """struct -> (API version that has it or None, [device extensions that have it])"""
    origins = {}
    sources = [(f, f.get("name"), None) for f in root.iterfind("feature") if "vulkan" in f.get("api").split(",")]
    sources += [(e, None, e.get("name")) for e in root.iterfind("extensions/extension")
                if e.get("supported") != "disabled" and e.get("type") == "device"]
    for element, version, extension in sources:
        for type_element in element.iterfind("require/type"):
            name = type_element.get("name")
            origin = origins.setdefault(aliases.get(name, name), [None, []])
            if version and origin[0] is None:
                origin[0] = api_version(version)
            elif extension and extension not in origin[1]:
                origin[1].append(extension)
    return origins


KINDS = {"uint32_t": "U32", "int32_t": "I32", "uint64_t": "U64", "VkDeviceSize": "U64", "size_t": "U64", "float": "F32"}


def common_rule(member_type, limit, is_feature):
    """(kind, rule) of a member: what a device has that stands for several; None: that of the first."""
    limits = (limit or "").split(",")
    if member_type == "VkBool32" or (member_type.endswith("Flags") and ("bitmask" in limits or is_feature)):
        return "U32", "BOTH"
    if member_type == "VkShaderFloatControlsIndependence":
        return "U32", "INDEPENDENCE"
    if member_type not in KINDS:
        return None
    if "max" in limits or "bits" in limits:
        return KINDS[member_type], "LEAST"
    if "min" in limits:
        return KINDS[member_type], "GREATEST"
    return (KINDS[member_type], "RANGE") if "range" in limits else None


def common_lines(root, struct, stype, whole, path):
    """Rows of description_commons: struct's members, which lie at path in the struct `whole`."""
    element = root.find(f"types/type[@category='struct'][@name='{struct}']")
    for member in element.findall("member"):
        rule = common_rule(member.findtext("type"), member.get("limittype"), "Features" in struct)
        if rule:
            name = member.findtext("name")
            yield (f"\t{{ {stype}, offsetof({whole}, {path}{name}), sizeof((({whole} *)0)->{path}{name}), COMMON_{rule[0]}, "
                   f'COMMON_{rule[1]}, "{name}" }},')


def capability_line(capability, enable):
    """One way to have a capability, as an initializer."""
    name = f'SpvCapability{capability}, "{capability}"'
    if enable.get("version"):
        return f"{{ {name}, ENABLED_BY_VERSION, {api_version(enable.get('version'))}, NULL }}"
    if enable.get("extension"):
        return f'{{ {name}, ENABLED_BY_EXTENSION, 0, "{enable.get("extension")}" }}'
    if enable.get("feature"):
        return f'{{ {name}, ENABLED_BY_MEMBER, 1, "{enable.get("feature")}" }}'
    return f'{{ {name}, ENABLED_BY_MEMBER, {enable.get("value")}, "{enable.get("member")}" }}'


def later_formats(root):
    """Those that Vulkan 1.3 added."""
    return {e.get("name") for f in root.iterfind("feature") if "VERSION_1_3" in f.get("name")
            for e in f.iterfind("require/enum[@extends='VkFormat']")}


def format_lines(root, core, place):
    """The formats of these that every driver copies byte by byte (see image.h), and depth and stencil. place: what stands in front."""
    for element in root.iterfind("formats/format"):
        size = int(element.get("blockSize"))
        components = element.findall("component")
        depth = [int(c.get("bits")) for c in components if c.get("name") == "D"]
        stencil = any(c.get("name") == "S" for c in components)
        if element.get("name") in core and (depth or stencil):
            # As copies of one aspect see them: VkBufferImageCopy.
            size = (2 if depth[0] == 16 else 4) if depth else 1
            aspects = " | ".join(["VK_IMAGE_ASPECT_DEPTH_BIT"] * bool(depth) + ["VK_IMAGE_ASPECT_STENCIL_BIT"] * stencil)
            yield f"\t{place.format(element.get('name'))}{{ {size}, 1, 1, {aspects} }},"
            continue
        bits = [c.get("bits") for c in components]
        # Of packed floats the registry leaves out an exponent that they share, and has told a wrong width.
        packed = all(c.get("numericFormat") == "UFLOAT" for c in components)
        exact = element.get("compressed") or packed or sum(int(b) for b in bits) == 8 * size
        if (element.get("name") not in core or not exact or size & (size - 1) or element.get("chroma")
                or element.get("compressed") == "PVRTC" or any(c.get("name") in "DS" for c in components)):
            continue
        width, height, _ = (element.get("blockExtent") or "1,1,1").split(",")
        yield f"\t{place.format(element.get('name'))}{{ {size}, {width}, {height}, VK_IMAGE_ASPECT_COLOR_BIT }}{'}' * place.startswith('{{')},"


def main(arguments):
    if len(arguments) != 4:
        sys.exit(__doc__)
    root = ElementTree.parse(arguments[0]).getroot()
    structs, aliases, stypes = read_structs(root)
    origins = read_origins(root, aliases)
    with open(arguments[1], encoding="utf-8") as file:
        known = ["VkPhysicalDevice" + line.strip() for line in file if line.strip() and not line.startswith("#")]
    known = [aliases.get(name, name) for name in known]  # a newer vk.xml may have them in a later Vulkan version
    with open(arguments[2], encoding="utf-8") as file:
        spirv_names = set(re.findall(r"SpvCapability(\w+) =", file.read()))

    out = ["/* Generated from vk.xml by generate.py. */", '#include "gpu/description_tables.h"', "",
           "#include <spirv/unified1/spirv.h>", "", "const struct description_known description_known[] = {"]
    out += ["\t{ VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, sizeof(VkPhysicalDeviceProperties2), 0, false, { NULL } },",
            "\t{ VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, sizeof(VkPhysicalDeviceFeatures2), 0, true, { NULL } },"]
    for name in known:
        version, extensions = origins[name]
        if len(extensions) > 2:
            sys.exit(f"{name} belongs to more extensions than the table has room for")
        names = ", ".join(f'"{e}"' for e in extensions) or "NULL"
        features = "true" if "Features" in name else "false"
        out.append(f"\t{{ {stypes[name]}, sizeof({name}), {version or 0}, {features}, {{ {names} }} }},")
    out += ["};", "const size_t description_known_count = sizeof(description_known) / sizeof(description_known[0]);", "",
            "const struct description_member description_members[] = {"]
    for _, member, _ in structs["VkPhysicalDeviceFeatures"]:
        out.append("\t{ VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, "
                   f'offsetof(VkPhysicalDeviceFeatures2, features.{member}), "{member}" }},')
    for name in known:
        for member_type, member, compound in structs[name]:
            if member_type in ("VkBool32", "VkSubgroupFeatureFlags") and not compound:
                # What VkPhysicalDeviceVulkan11Properties calls it; capabilities are told in its words.
                label = "subgroupSupportedOperations" if member == "supportedOperations" else member
                out.append(f'\t{{ {stypes[name]}, offsetof({name}, {member}), "{label}" }},')
    out += ["};", "const size_t description_member_count = sizeof(description_members) / sizeof(description_members[0]);", "",
            "const struct description_limit description_limits[] = {"]
    for _, member, _ in structs["VkPhysicalDeviceLimits"]:
        out.append(f'\t{{ offsetof(VkPhysicalDeviceLimits, {member}), "{member}" }},')
    out += ["};", "const size_t description_limit_count = sizeof(description_limits) / sizeof(description_limits[0]);", "",
            "const struct description_common description_commons[] = {"]
    properties2, features2 = "VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2", "VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2"
    out += common_lines(root, "VkPhysicalDeviceLimits", properties2, "VkPhysicalDeviceProperties2", "properties.limits.")
    out += common_lines(root, "VkPhysicalDeviceFeatures", features2, "VkPhysicalDeviceFeatures2", "features.")
    for name in known:
        out += common_lines(root, name, stypes[name], name, "")
    out += ["};", "const size_t description_common_count = sizeof(description_commons) / sizeof(description_commons[0]);", "",
            "const struct description_capability description_capabilities[] = {"]
    for element in root.iterfind("spirvcapabilities/spirvcapability"):
        if element.get("name") in spirv_names:
            out += [f"\t{capability_line(element.get('name'), e)}," for e in element.findall("enable")]
    out += ["};",
            "const size_t description_capability_count = sizeof(description_capabilities) / sizeof(description_capabilities[0]);"]
    core = {e.get("name") for e in root.iterfind("enums[@name='VkFormat']/enum")}
    out += ["", "const struct gpu_format gpu_formats[] = {", *format_lines(root, core, "[{}] = "), "};",
            "const size_t gpu_format_count = sizeof(gpu_formats) / sizeof(gpu_formats[0]);",
            "", "const struct gpu_later_format gpu_later_formats[] = {", *format_lines(root, later_formats(root), "{{ {}, "), "};",
            "const size_t gpu_later_format_count = sizeof(gpu_later_formats) / sizeof(gpu_later_formats[0]);"]
    with open(arguments[3], "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
