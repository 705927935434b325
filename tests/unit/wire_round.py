#!/usr/bin/python3
"""Writes the round trips of all commands of the command stream for the unit test and the fuzzer.

usage: wire_round.py GENERATE_DIRECTORY vk.xml commands.txt OUTPUT.c
"""

import re
import sys

# What a decoder demands (the checks of commands.txt), and values that choose what is sent.
VALUES = {
    "VkShaderModuleCreateInfo.codeSize": "4 * (1 + round_random(9))",
    "VkDescriptorSetAllocateInfo.descriptorSetCount": "1",
    "VkDescriptorSetVariableDescriptorCountAllocateInfo.descriptorSetCount": "round_random(2)",
    "VkCommandBufferAllocateInfo.commandBufferCount": "1",
    "VkSpecializationInfo.dataSize": "16 + round_random(9)",
    "VkSpecializationMapEntry.offset": "round_random(9)",
    "VkSpecializationMapEntry.size": "round_random(9)",
    "VkDescriptorSetLayoutBinding.descriptorType": "round_random(9)",
    "VkBufferCreateInfo.sharingMode": "round_random(2)",
    "VkPipelineMultisampleStateCreateInfo.rasterizationSamples": "1 + round_random(64)",
    "VkImageCreateInfo.sharingMode": "round_random(2)",
    "vkCmdPushConstants.offset": "4 * round_random(9)",
    "vkCmdPushConstants.size": "4 * (1 + round_random(9))",
    "vkCmdUpdateBuffer.dataSize": "4 * (1 + round_random(9))",
}


class Writer:
    def __init__(self, registry):
        self.registry = registry
        self.out = []

    def add(self, depth, line):
        self.out.append("\t" * depth + line)

    def one(self, m, target, depth, may_be_null):
        """Makes up a single value."""
        t = m.type
        if t in self.registry.handles:
            null = "round_random(4) == 0 ? 0 : " if may_be_null else ""
            self.add(depth, f"{target} = ({t})(uintptr_t)({null}round_handle({self.registry.handles[t]}));")
        elif t in self.registry.raw:
            self.add(depth, f"memcpy(&{target}, round_bytes(x, sizeof({t})), sizeof({t}));")
        elif t in self.registry.structs:
            self.add(depth, f"round_fill_{t}(x, &{target});")
        elif t == "float":
            self.add(depth, f"{target} = round_float();")
        else:
            self.add(depth, f"{target} = ({t})round_random64();")

    def fill(self, owner, m, of, lengths):
        """Makes up a member. What is not sent is garbage: nobody may look at it."""
        e = of(m.name)
        garbage = f"{e} = ({'const ' if m.pointers else ''}{m.type} {'*' if m.pointers else ''})(uintptr_t)16;"
        if m.omit:
            self.add(1, garbage)
            return
        self.fill_sent(owner, m, of, lengths, e)
        if m.when:
            self.add(1, f"if (!({m.when}))")
            self.add(2, garbage)

    def fill_sent(self, owner, m, of, lengths, e):
        if f"{owner}.{m.name}" in VALUES:
            self.add(1, f"{e} = ({m.type})({VALUES[f'{owner}.{m.name}']});")
        elif m.name in lengths:
            self.add(1, f"{e} = ({m.type})round_random(4);")
        elif m.array:
            self.add(1, f"for (size_t i = 0; i < {m.array}; i++)")
            self.one(m, f"{e}[i]", 2, False)
        elif not m.pointers:
            self.one(m, e, 1, m.optional)
        elif m.len == "null-terminated":
            self.add(1, f"{e} = round_string(x);")
        else:
            self.fill_pointer(m, e, of)

    def fill_pointer(self, m, e, of):
        count = re.sub(r"[A-Za-z_]\w*", lambda name: of(name.group()), m.len) if m.len else "1"
        self.add(1, f"if ({'round_random(4) != 0' if m.optional else 'true'}) {{")
        if m.type == "void":
            self.add(2, f"{e} = round_bytes(x, {count});")
        else:
            self.add(2, f"{m.type} *p = round_memory(x, {count} * sizeof(*p));")
            self.add(2, f"for (size_t i = 0; i < {count}; i++)")
            self.one(m, "p[i]", 3, m.len and m.null_elements)
            self.add(2, f"{e} = {count} != 0 ? p : NULL;")
        self.add(1, "}")

    def compare_one(self, m, a, b, depth):
        t = m.type
        if t in self.registry.raw:
            self.add(depth, f'round_check(memcmp(&{a}, &{b}, sizeof({t})) == 0, "{m.name}");')
        elif t in self.registry.structs:
            self.add(depth, f"round_same_{t}(&{a}, &{b});")
        else:
            self.add(depth, f'round_check({a} == {b}, "{m.name}");')

    def compare(self, m, of_a, of_b):
        a, b = of_a(m.name), of_b(m.name)
        nothing = "NULL" if m.pointers else "VK_NULL_HANDLE" if m.type in self.registry.handles else "0"
        if m.omit:
            self.add(1, f'round_check({b} == {nothing}, "{m.name}");')
            return
        conditions = [re.sub(r"\bv->", "a->", f"({m.when})")] if m.when else []
        if m.pointers and m.len != "null-terminated":
            conditions.append(f"{a} != NULL")
        if conditions:
            self.add(1, f"if (!({' && '.join(conditions)}))")
            self.add(2, f'round_check({b} == {nothing}, "{m.name}");')
            self.add(1, "else {")
        else:
            self.add(1, "{")
        if m.array:
            self.add(2, f"for (size_t i = 0; i < {m.array}; i++)")
            self.compare_one(m, f"{a}[i]", f"{b}[i]", 3)
        elif not m.pointers:
            self.compare_one(m, a, b, 2)
        elif m.len == "null-terminated":
            self.add(2, f'round_check(strcmp({a}, {b}) == 0, "{m.name}");')
        else:
            count = re.sub(r"[A-Za-z_]\w*", lambda name: of_a(name.group()), m.len) if m.len else "1"
            self.add(2, f'round_check({b} != NULL, "{m.name}");')
            if m.type == "void":
                self.add(2, f'round_check(memcmp({a}, {b}, {count}) == 0, "{m.name}");')
            else:
                self.add(2, f"for (size_t i = 0; i < {count}; i++)")
                self.compare_one(m, f"{a}[i]", f"{b}[i]", 3)
        self.add(1, "}")

    def chain(self, name):
        links, shared = self.registry.chain_of(name), name in self.registry.custom
        static = "" if shared else "static "
        self.add(0, f"{static}void round_fill_chain_{name}(struct round *x, const void **next)")
        self.out += ["{", "\t(void)x;", "\t*next = NULL;"]
        for s in links:
            self.add(1, "if (round_random(2)) {")
            self.add(2, f"{s} *s = round_memory(x, sizeof(*s));")
            self.add(2, f"round_fill_{s}(x, s);")
            self.add(2, "*next = s;")
            self.add(2, "next = (const void **)&s->pNext;")
            self.add(1, "}")
        self.out += ["}", "", f"{static}void round_same_chain_{name}(const void *a, const void *b)", "{",
                     "\tconst VkBaseInStructure *p = a, *q = b;",
                     "\tfor (; p != NULL && q != NULL; p = p->pNext, q = q->pNext) {",
                     '\t\tround_check(p->sType == q->sType, "sType");']
        for s in links:
            self.add(2, f"if (p->sType == {self.registry.stype(s)})")
            self.add(3, f"round_same_{s}((const {s} *)p, (const {s} *)q);")
        self.out += ["\t}", '\tround_check(p == NULL && q == NULL, "pNext");', "}", ""]

    def struct(self, name):
        members = self.registry.structs[name]
        if self.registry.chain_of(name):
            self.chain(name)
        if name in self.registry.custom or name in self.registry.raw:
            return
        typed = members[0].value is not None
        lengths = {m.len for m in members if m.len}
        chained = typed and self.registry.chain_of(name) and name not in self.registry.chain
        self.add(0, f"static void round_fill_{name}(struct round *x, {name} *v)")
        self.out += ["{", "\t(void)x;"]
        if typed:
            self.add(1, f"v->sType = {members[0].value};")
        if chained:
            self.add(1, f"round_fill_chain_{name}(x, &v->pNext);")
        for m in members[2 if typed else 0:]:
            self.fill(name, m, "v->{}".format, lengths)
        self.out += ["}", "", f"static void round_same_{name}(const {name} *a, const {name} *b)", "{"]
        if typed:
            self.add(1, 'round_check(a->sType == b->sType, "sType");')
        if chained:
            self.add(1, f"round_same_chain_{name}(a->pNext, b->pNext);")
        for m in members[2 if typed else 0:]:
            self.compare(m, "a->{}".format, "b->{}".format)
        self.out += ["}", ""]

    def command(self, c):
        parameters = f"const struct wire_{c.name} *"
        self.out += [f"static void round_same_{c.name}({parameters}a, {parameters}b)", "{", "\t(void)a, (void)b;"]
        for p in c.sent:
            self.compare(p, "a->{}".format, "b->{}".format)
        if c.creates:
            self.add(1, 'round_check(a->id == b->id, "id");')
        self.out += ["}", ""]
        self.add(0, f"static void round_{c.name}(struct round *x)")
        self.out += ["{", f"\tstruct wire_{c.name} made, *a = &made, got;",
                     "\tmemset(a, 0, sizeof(*a));"]
        lengths = {p.len for p in c.sent if p.len}
        for p in c.sent:
            self.fill(c.name, p, "a->{}".format, lengths)
        if c.creates:
            self.add(1, "a->id = 1 + round_random64() / 2;")
        arguments = "".join(f", a->{p.name}" for p in c.sent) + (", a->id" if c.creates else "")
        self.out += [f"\twire_encode_{c.name}(&x->w{arguments});", f"\tround_turn(x, WIRE_{c.name});",
                     f'\tround_check(wire_decode_{c.name}(&x->r, &got), "decoding");',
                     f'\tround_check(x->r.created == {"got.id" if c.creates else "0"}, "created");',
                     f"\tround_same_{c.name}(a, &got);", "}", ""]


def main(arguments):
    if len(arguments) != 4:
        sys.exit(__doc__)
    sys.path.insert(0, arguments[0])
    sys.dont_write_bytecode = True
    from generate import Registry
    registry = Registry(arguments[1], arguments[2])
    writer = Writer(registry)
    writer.out += ["/* Generated by wire_round.py. */", "#include <string.h>", "", '#include "tests/unit/wire_round.h"', ""]
    for name in registry.needed_structs():
        writer.struct(name)
    for c in registry.commands:
        writer.command(c)
    writer.out.append("const struct round_case round_cases[] = {")
    writer.out += [f'\t{{ "{c.name}", round_{c.name} }},' for c in registry.commands]
    writer.out += ["};", "const size_t round_case_count = sizeof(round_cases) / sizeof(round_cases[0]);", "",
                   "bool round_decode(unsigned command, struct wire_reader *r)", "{", "\tswitch (command) {"]
    for c in registry.commands:
        writer.out += [f"\tcase WIRE_{c.name}: {{", f"\t\tstruct wire_{c.name} v;",
                       f"\t\tif (!wire_decode_{c.name}(r, &v))", "\t\t\treturn false;",
                       f"\t\tround_same_{c.name}(&v, &v);", "\t\treturn true;", "\t}"]
    writer.out += ["\tdefault:", "\t\treturn false;", "\t}", "}"]
    with open(arguments[3], "w", encoding="utf-8") as file:
        file.write("\n".join(writer.out) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
