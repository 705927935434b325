#!/usr/bin/python3
"""Writes the encoders and decoders of the command stream from vk.xml and commands.txt.

usage: generate.py vk.xml commands.txt OUTPUT_DIRECTORY     (wire_gen.h, wire_gen.c)

The form of the stream is told in wire.h, the annotations in commands.txt.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree


class Member:
    """A struct's member or a command's parameter."""

    def __init__(self, element):
        self.type = element.findtext("type")
        self.name = element.findtext("name")
        self.value = element.get("values")  # of a fixed sType
        text = "".join(element.itertext())
        self.pointers = text.count("*")
        self.constant = "const " in text
        array = re.search(re.escape(self.name) + r"\s*\[(\w+)\]", text)
        self.array = array.group(1) if array else None
        self.len = element.get("altlen") or element.get("len")
        optional = (element.get("optional") or "false").split(",")
        vague = element.get("noautovalidity") == "true"
        self.optional = optional[0] == "true"
        self.maybe_absent = self.optional or vague
        self.null_elements = optional[-1] == "true" or vague
        self.when = None
        self.omit = False
        if self.pointers > 1:
            self.type += " *"  # never sent; would fail as an unknown type


class Command:
    def __init__(self, element):
        self.name = element.findtext("proto/name")
        self.parameters = [Member(p) for p in element.findall("param") if api_has(p)]
        self.aliases = []
        self.custom = self.creates = self.records = False
        self.sent = []

    def annotate(self, words):
        """Cuts the parameters down to those that are sent."""
        first = self.parameters[0]
        sent = self.parameters[1:] if first.type in ("VkDevice", "VkCommandBuffer") else list(self.parameters)
        if first.type == "VkCommandBuffer" and self.name.startswith("vkCmd"):
            self.records = True
        for p in sent:
            if p.pointers and not p.constant:
                self.creates = True
        sent = [p for p in sent if p.name != "pAllocator" and not (p.pointers and not p.constant)]
        for word in words:
            if word == "custom":
                self.custom = True
            elif word.startswith("-"):
                sent = [p for p in sent if p.name != word[1:]]
            elif word.startswith("one:"):
                name, new_name = word[4:].split("=")
                one = next(p for p in sent if p.name == name)
                sent = [p for p in sent if p.name != one.len]
                one.name, one.len = new_name, None
                one.pointers = 1 if new_name.startswith("p") else 0
                one.maybe_absent = one.optional = one.null_elements = False
            else:
                sys.exit(f"commands.txt: {self.name}: what is {word}?")
        self.sent = sent


def address(expression):
    return expression[1:] if expression.startswith("*") else f"&{expression}"


def api_has(element):
    return "vulkan" in (element.get("api") or "vulkan").split(",")


class Registry:
    """vk.xml and commands.txt, read."""

    def __init__(self, xml_path, commands_path):
        root = ElementTree.parse(xml_path).getroot()
        self.structs, self.extends, self.handles, self.widths = {}, {}, {}, {}
        self.known_commands, self.struct_aliases = {}, {}
        for element in root.iterfind("types/type"):
            if api_has(element):
                self.read_type(element)
        aliases = []
        for element in root.iterfind("commands/command"):
            if element.get("alias"):
                aliases.append((element.get("alias"), element.get("name")))
            elif api_has(element):
                command = Command(element)
                self.known_commands[command.name] = command
        self.command_aliases = {alias: name for name, alias in aliases}
        for name, alias in aliases:
            self.known_commands[name].aliases.append(alias)
        self.read_annotations(commands_path)

    def read_type(self, element):
        name, category = element.get("name") or element.findtext("name"), element.get("category")
        if element.get("alias"):
            if category == "struct":
                self.struct_aliases[name] = element.get("alias")
            return
        if category == "struct":
            self.structs[name] = [Member(m) for m in element.findall("member") if api_has(m)]
            self.extends[name] = (element.get("structextends") or "").split(",")
        elif category == "handle":
            self.handles[name] = element.get("objtypeenum")
        elif category == "enum":
            self.widths[name] = 4
        elif category == "bitmask":
            self.widths[name] = 8 if element.findtext("type") == "VkFlags64" else 4
        elif category == "basetype":
            self.widths[name] = 8 if element.findtext("type") == "uint64_t" else 4

    def read_annotations(self, path):
        self.commands, self.executor_commands, self.chain = [], [], []
        self.raw, self.custom, self.checks = set(), set(), {}
        self.widths.update({"uint32_t": 4, "int32_t": 4, "float": 4, "uint64_t": 8, "int64_t": 8, "size_t": 8})
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                words = line.split("#")[0].split()
                if not words:
                    continue
                key, rest = words[0], words[1:]
                if key == "executor":
                    self.executor_commands.append(self.find_command(rest[0]))
                elif key == "chain":
                    self.chain.append(self.struct_aliases.get(rest[0], rest[0]))
                elif key == "raw":
                    self.raw.add(rest[0])
                elif key == "custom":
                    self.custom.add(rest[0])
                elif key == "omit":
                    self.member(rest[0]).omit = True
                elif key == "when":
                    self.member(rest[0]).when = " ".join(rest[1:])
                elif key == "check":
                    self.checks[rest[0]] = " ".join(rest[1:])
                else:
                    command = self.find_command(key)
                    command.annotate(rest)
                    self.commands.append(command)

    def find_command(self, name):
        """The command, under the name that it has here: a newer vk.xml may know it by that of a later Vulkan version."""
        if name not in self.known_commands:
            command = self.known_commands[self.command_aliases[name]]
            command.aliases = [command.name] + [a for a in command.aliases if a != name]
            command.name = name
            return command
        return self.known_commands[name]

    def member(self, path):
        struct, name = path.split(".")
        return next(m for m in self.structs[struct] if m.name == name)

    def chain_of(self, struct):
        return [s for s in self.chain if struct in self.extends[s]]

    def stype(self, struct):
        return self.structs[struct][0].value

    def needed_structs(self):
        """All structs that commands send, each after those that it contains."""
        order = []

        def visit(name):
            if name not in self.structs or name in order:
                return
            for m in self.structs[name]:
                if not m.omit and m.name != "pNext" and name not in self.custom:
                    visit(m.type)
            for s in self.chain_of(name):
                visit(s)
            if name not in order:
                order.append(name)

        for command in self.commands:
            for p in command.sent:
                visit(p.type)
        return order

    def used_directly(self, name):
        users = [m for s in self.needed_structs() for m in self.structs[s]]
        return any(u.type == name for u in users + [p for c in self.commands for p in c.sent])

    def min_size(self, m, pointer_done=False):
        """Least bytes that a member takes in the stream."""
        if m.omit:
            return 0
        if m.pointers and not pointer_done:
            if m.maybe_absent or m.when or m.len == "null-terminated":
                return 4
            return 0 if m.len else self.min_size(m, True)
        if m.when:
            return 4
        if m.array and not pointer_done:
            return int(m.array) * self.element_size(m.type)
        return self.element_size(m.type)

    def element_size(self, type_name):
        if type_name in self.handles:
            return 8
        if type_name in self.raw or type_name in self.custom:
            return 4
        if type_name == "void":
            return 1
        if type_name in self.structs:
            return sum(4 if m.name == "pNext" else 0 if m.value else self.min_size(m) for m in self.structs[type_name])
        return self.widths[type_name]


class Body:
    """Lines of a C function, for one struct or one command."""

    def __init__(self, registry, expression_of):
        self.registry = registry
        self.of = expression_of  # name of a member -> C expression
        self.lines = []

    def add(self, line, depth=1):
        self.lines.append("\t" * depth + line)

    def count(self, m):
        return re.sub(r"[A-Za-z_]\w*", lambda name: self.of(name.group()), m.len)

    # Encoding

    def put_value(self, m, expression, depth):
        t = m.type
        if t in self.registry.handles:
            self.add(f"wire_put_handle(w, (uint64_t)(uintptr_t){expression}, {self.registry.handles[t]});", depth)
        elif t in self.registry.raw:
            self.add(f"wire_put_bytes(w, {address(expression)}, sizeof({t}));", depth)
        elif t in self.registry.structs:
            prefix = "wire_put_" if t in self.registry.custom else "put_"
            self.add(f"{prefix}{t}(w, {address(expression)});", depth)
        elif t == "float":
            self.add(f"wire_put_float(w, {expression});", depth)
        else:
            width = self.registry.widths[t]
            self.add(f"wire_put_u{8 * width}(w, (uint{8 * width}_t){expression});", depth)

    def put(self, m):
        e = self.of(m.name)
        if m.omit:
            return
        depth = 1
        if m.when or (m.pointers and m.maybe_absent and m.len != "null-terminated"):
            conditions = [f"({m.when})"] if m.when else []
            if m.pointers:
                conditions.append(f"{e} != NULL")
            self.add(f"if (wire_put_present(w, {' && '.join(conditions)})) {{")
            depth = 2
        if m.array:
            self.add(f"for (size_t i = 0; i < {m.array}; i++)", depth)
            self.put_value(m, f"{e}[i]", depth + 1)
        elif not m.pointers:
            self.put_value(m, e, depth)
        elif m.len == "null-terminated":
            self.add(f"wire_put_string(w, {e});", depth)
        elif m.len and m.type == "void":
            self.add(f"wire_put_bytes(w, {e}, {self.count(m)});", depth)
        elif m.len:
            self.add(f"for (size_t i = 0; i < {self.count(m)}; i++)", depth)
            self.put_value(m, f"{e}[i]", depth + 1)
        else:
            self.put_value(m, f"*{e}", depth)
        if depth == 2:
            self.add("}")

    # Decoding

    def get_value(self, m, expression, depth):
        t = m.type
        if t in self.registry.handles:
            required = "false" if (m.null_elements if m.pointers else m.maybe_absent) else "true"
            self.add(f"{expression} = ({t})(uintptr_t)wire_get_handle(r, {self.registry.handles[t]}, {required});", depth)
        elif t in self.registry.raw:
            self.add(f"wire_get_bytes(r, &{expression}, sizeof({t}));", depth)
        elif t in self.registry.structs:
            prefix = "wire_get_" if t in self.registry.custom else "get_"
            self.add(f"{prefix}{t}(r, &{expression});", depth)
        elif t == "float":
            self.add(f"{expression} = wire_get_float(r);", depth)
        else:
            self.add(f"{expression} = ({t})wire_get_u{8 * self.registry.widths[t]}(r);", depth)

    def get_pointer(self, m, e, depth):
        if m.len == "null-terminated":
            self.add(f"{e} = wire_get_string(r);", depth)
            return
        count = self.count(m) if m.len else "1"
        if m.type == "void":
            self.add(f"{e} = wire_get_data(r, {count});", depth)
            return
        least = self.registry.element_size(m.type)
        self.add(f"{m.type} *p = wire_allocate(r, {count}, sizeof(*p), {least});", depth)
        self.add(f"for (size_t i = 0; p != NULL && i < {count} && !r->failed; i++)", depth)
        self.get_value(m, "p[i]", depth + 1)
        self.add(f"{e} = p;", depth)

    def get(self, m):
        e = self.of(m.name)
        nothing = "NULL" if m.pointers else "VK_NULL_HANDLE" if m.type in self.registry.handles else "0"
        if m.omit:
            self.add(f"{e} = {nothing};")
            return
        depth = 1
        if m.when or (m.pointers and m.maybe_absent and m.len != "null-terminated"):
            self.add(f"{e} = {nothing};")
            self.add("if (wire_get_present(r)) {")
            depth = 2
        elif m.pointers and m.len != "null-terminated" and m.type != "void":
            self.add("{")
            depth = 2
        if m.array:
            self.add(f"for (size_t i = 0; i < {m.array}; i++)", depth)
            self.get_value(m, f"{e}[i]", depth + 1)
        elif m.pointers:
            self.get_pointer(m, e, depth)
        else:
            self.get_value(m, e, depth)
        if depth == 2:
            self.add("}")
        if m.pointers and m.len and m.maybe_absent and not m.optional:
            needed = f"({m.when}) && " if m.when else ""
            self.add(f"if ({needed}{self.count(m)} != 0 && {e} == NULL)")
            self.add("r->failed = true;", 2)

    def check(self, name):
        if name in self.registry.checks:
            self.add(f"if (!r->failed && !({self.registry.checks[name]}))")
            self.add("r->failed = true;", 2)


def struct_functions(registry, name):
    """put_VkS, get_VkS, and put_chain_VkS, get_chain_VkS where pNext structs may travel."""
    members = registry.structs[name]
    chain = registry.chain_of(name)
    out = []
    shared = name in registry.custom  # its hand-written functions call the chain's
    link = f"{'wire_' if shared else ''}%s_chain_{name}"
    if chain:
        put, get = link % "put", link % "get"
        static = "" if shared else "static "
        out += [f"{static}void {put}(struct wire_writer *w, const void *next)", "{",
                "\tstruct wire_chain chain = wire_put_chain(w);",
                "\tfor (const VkBaseInStructure *s = next; s != NULL; s = s->pNext) {",
                "\t\tswitch ((int)s->sType) {"]
        for s in chain:
            out += [f"\t\tcase {registry.stype(s)}:",
                    "\t\t\tif (wire_put_link(&chain, s->sType))",
                    f"\t\t\t\tput_{s}_members(w, (const {s} *)s);",
                    "\t\t\tbreak;"]
        out += ["\t\t}", "\t}", "}", "",
                f"{static}const void *{get}(struct wire_reader *r)", "{",
                "\tconst void *first = NULL, **next = &first;",
                "\tfor (uint32_t left = wire_get_chain(r); left > 0 && !r->failed; left--) {",
                "\t\tuint32_t type = wire_get_u32(r);",
                "\t\tswitch (type) {"]
        for s in chain:
            out += [f"\t\tcase {registry.stype(s)}: {{",
                    f"\t\t\t{s} *s = wire_allocate(r, 1, sizeof(*s), 0);",
                    "\t\t\tif (s == NULL)",
                    "\t\t\t\tbreak;",
                    f"\t\t\ts->sType = {registry.stype(s)};",
                    "\t\t\ts->pNext = NULL;",
                    f"\t\t\tget_{s}_members(r, s);",
                    "\t\t\t*next = s;",
                    "\t\t\tnext = (const void **)&s->pNext;",
                    "\t\t\tbreak;",
                    "\t\t}"]
        out += ["\t\tdefault:", "\t\t\tr->failed = true;", "\t\t}", "\t}", "\treturn first;", "}", ""]
    if name in registry.custom:
        return out
    encode, decode = Body(registry, "v->{}".format), Body(registry, "v->{}".format)
    has_type = members[0].value is not None
    for m in members[2 if has_type else 0:]:
        encode.put(m)
        decode.get(m)
    decode.check(name)
    suffix = "_members" if has_type else ""
    out += [f"static void put_{name}{suffix}(struct wire_writer *w, const {name} *v)", "{", *encode.lines, "}", "",
            f"static void get_{name}{suffix}(struct wire_reader *r, {name} *v)", "{", *decode.lines, "}", ""]
    in_chain_only = name in registry.chain and not registry.used_directly(name)
    if has_type and not in_chain_only:
        put = f"put_chain_{name}(w, v->pNext)" if chain else "wire_put_u32(w, 0)"
        get = f"get_chain_{name}(r)" if chain else "wire_get_no_chain(r)"
        out += [f"static void put_{name}(struct wire_writer *w, const {name} *v)", "{",
                f"\t{put};", f"\tput_{name}_members(w, v);", "}", "",
                f"static void get_{name}(struct wire_reader *r, {name} *v)", "{",
                f"\tv->sType = {members[0].value};", f"\tv->pNext = (void *)(uintptr_t){get};",
                f"\tget_{name}_members(r, v);", "}", ""]
    return out


def declare(m):
    stars = " *" if m.pointers else " "
    return f"{'const ' if m.pointers else ''}{m.type}{stars}{m.name}{f'[{m.array}]' if m.array else ''}"


def encoder_prototype(command):
    parameters = ["struct wire_writer *w"] + [("const " if p.array else "") + declare(p) for p in command.sent]
    if command.creates:
        parameters.append("uint64_t id")
    return f"void wire_encode_{command.name}({', '.join(parameters)})"


def decoder_prototype(command):
    return f"bool wire_decode_{command.name}(struct wire_reader *r, struct wire_{command.name} *ret)"


def header(registry):
    out = ["/* Generated from vk.xml and commands.txt by generate.py. */",
           "#ifndef TBMESH_PROTO_VK_WIRE_GEN_H", "#define TBMESH_PROTO_VK_WIRE_GEN_H", "",
           '#include "proto/vk/wire.h"', "", "enum wire_command {"]
    out += [f"\tWIRE_{c.name} = {number}," for number, c in enumerate(registry.commands, 1)]
    out += ["\tWIRE_COMMAND_END,", "};", "",
            "/* Decoded parameters, with real handles. They live in the reader's arena, until the next command is decoded. */"]
    for c in registry.commands:
        out.append(f"struct wire_{c.name} {{")
        out += [f"\t{declare(p)};" for p in c.sent]
        if c.creates:
            out.append("\tuint64_t id;")
        out += ["};", ""]
    out += ["/* The device's functions; NULL where it has none (of an extension that is not enabled). */", "struct wire_table {"]
    out += [f"\tPFN_{c.name} {c.name};" for c in registry.commands + registry.executor_commands]
    out += ["};", "", "void wire_table_load(struct wire_table *t, VkDevice device, PFN_vkGetDeviceProcAddr get);", "",
            '/* "vkX", or "unknown" for a number that is no command. Static. */',
            "const char *wire_command_name(unsigned command);", "",
            "/* Decodes the vkCmd… command in front of the reader and records it. 1 one done, 0 at the end, -EBADMSG (also for a",
            " * command that is no vkCmd… or that the device has not). */",
            "int wire_play(struct wire_reader *r, VkCommandBuffer cb, const struct wire_table *t);", "",
            "/* Each appends one command to w->out. Check w->out->failed at the end. */"]
    out += [encoder_prototype(c) + ";" for c in registry.commands]
    out += ["", "/* The reader stands behind the command's header. False: not valid, nothing in ret may be used. */"]
    out += [decoder_prototype(c) + ";" for c in registry.commands]
    return out + ["", "#endif"]


def command_functions(registry, command):
    encode = Body(registry, lambda name: name)
    decode = Body(registry, "v->{}".format)
    for p in command.sent:
        encode.put(p)
        decode.get(p)
    decode.check(command.name)
    out = [encoder_prototype(command), "{", f"\tsize_t start = wire_begin(w, WIRE_{command.name});", *encode.lines]
    if command.creates:
        out.append("\twire_put_u64(w, id);")
    out += ["\twire_end(w, start);", "}", "",
            decoder_prototype(command), "{", f"\tstruct wire_{command.name} value, *v = &value;",
            "\twire_decode_begin(r);", *decode.lines]
    if command.creates:
        out.append("\tv->id = wire_get_id(r);")
    if not command.sent and not command.creates:
        out.append("\t(void)v;")
    out += ["\tif (!wire_decode_end(r))", "\t\treturn false;", "\t*ret = value;", "\treturn true;", "}", ""]
    return out


def player(registry):
    out = ["int wire_play(struct wire_reader *r, VkCommandBuffer cb, const struct wire_table *t)", "{",
           "\tuint16_t command;", "\tstruct wire_reader p;",
           "\tint rc = wire_next(r, &command, &p);", "\tif (rc <= 0)", "\t\treturn rc;", "\tswitch (command) {"]
    for c in registry.commands:
        if c.records:
            arguments = "".join(f", v.{p.name}" for p in c.sent)
            out += [f"\tcase WIRE_{c.name}: {{", f"\t\tstruct wire_{c.name} v;",
                    f"\t\tif (t->{c.name} == NULL || !wire_decode_{c.name}(&p, &v))", "\t\t\treturn -EBADMSG;",
                    "\t\tif (p.inspect != NULL && !p.inspect(p.ctx, command, &v))", "\t\t\treturn -EBADMSG;",
                    f"\t\tt->{c.name}(cb{arguments});", "\t\treturn 1;", "\t}"]
    return out + ["\tdefault:", "\t\treturn -EBADMSG;", "\t}", "}", ""]


def source(registry):
    out = ["/* Generated from vk.xml and commands.txt by generate.py. */", '#include "proto/vk/wire_gen.h"', "",
           "#include <errno.h>", "", '#include "proto/vk/wire_support.h"', ""]
    for name in registry.needed_structs():
        out += struct_functions(registry, name)
    for c in registry.commands:
        if not c.custom:
            out += command_functions(registry, c)
    out += player(registry)
    out += ["void wire_table_load(struct wire_table *t, VkDevice device, PFN_vkGetDeviceProcAddr get)", "{"]
    for c in registry.commands + registry.executor_commands:
        out.append(f'\tt->{c.name} = (PFN_{c.name})get(device, "{c.name}");')
        for alias in c.aliases:
            out += [f"\tif (t->{c.name} == NULL)", f'\t\tt->{c.name} = (PFN_{c.name})get(device, "{alias}");']
    out += ["}", "", "const char *wire_command_name(unsigned command)", "{", "\tstatic const char *const names[] = {"]
    out += [f'\t\t[WIRE_{c.name}] = "{c.name}",' for c in registry.commands]
    out += ["\t};", '\treturn command > 0 && command < WIRE_COMMAND_END ? names[command] : "unknown";', "}"]
    return out


def write(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def main(arguments):
    if len(arguments) != 3:
        sys.exit(__doc__)
    registry = Registry(arguments[0], arguments[1])
    write(f"{arguments[2]}/wire_gen.h", header(registry))
    write(f"{arguments[2]}/wire_gen.c", source(registry))


if __name__ == "__main__":
    main(sys.argv[1:])
