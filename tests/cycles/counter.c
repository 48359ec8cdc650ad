/* Counts what a program on an emulated core executes between two of its functions, and models the
 * cycles that a real core with memory as fast as itself would take. A plugin of QEMU (6.0 and newer);
 * `measure.sh` builds and runs it.
 *
 *     -plugin counter.so,begin=ADDRESS,end=ADDRESS,core=m4|m33|m3|m0p|count[,hot=FILE]
 *
 * Counting begins behind the instruction at `begin` and stops in front of the one at `end`. Then a
 * line is printed:
 *
 *     cycles: region=0 insns=… cycles=… loads=… stores=… muls=… branches=… taken=…
 *
 * `hot` gets a line "address executions cycles" for each instruction executed.
 *
 * The cycles, where they are not 1, after the tables of Arm's Technical Reference Manuals: 100166
 * (M4; also taken for the M33, of which Arm publishes none), DDI 0337 (M3) and DDI 0484 (M0+):
 *
 *                               M4, M33    M3          M0+
 *     single load               2          2           2     1 on M3 and M4 behind a load or store
 *     single store              1          1           2
 *     several registers         1 + N      1 + N       1 + N
 *     MLA, MLS                  1          2
 *     64-bit product, with sum  1          4, 6              (M3: 3 to 5, 4 to 7 by operands)
 *     divide                    7          7                 (2 to 12 by operands)
 *     branch taken              1 + 2      1 + 2       1 + 1
 *     table branch              2 + 2      2 + 2
 *     MRS, MSR, barriers        2          2           2
 *     VLDR, VSTR by words       1 + N      1 + N
 *     VMLA and kind             3          3
 *     VDIV, VSQRT               14         14
 *
 * It is a model, to compare programs by; on a board, flash is slower than the core.
 *
 * How it works: QEMU translates a program in blocks of instructions that follow each other. A block
 * (cut at `begin` and at `end`) costs the same each time but for its edges: whether its last
 * instruction jumps, and whether its first is a load behind another. So one callback per block is
 * enough. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is used here of QEMU's plugin interface, version 1, whose header Debian doesn't package. */
typedef uint64_t plugin_id;
typedef struct { const char *target_name; } plugin_info; /* its first member */
typedef struct qemu_plugin_tb block_of_qemu;
typedef struct qemu_plugin_insn insn_of_qemu;
size_t qemu_plugin_tb_n_insns(const block_of_qemu *);
insn_of_qemu *qemu_plugin_tb_get_insn(const block_of_qemu *, size_t);
const void *qemu_plugin_insn_data(const insn_of_qemu *);
size_t qemu_plugin_insn_size(const insn_of_qemu *);
uint64_t qemu_plugin_insn_vaddr(const insn_of_qemu *);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, block_of_qemu *));
void qemu_plugin_register_vcpu_insn_exec_cb(insn_of_qemu *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
void qemu_plugin_outs(const char *);
#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

/* ---- The cores ---- */

enum kind { OTHER, LOAD, STORE, PRODUCT, BRANCH, KINDS };

/* Rows of the table above. LIST, WORDS and VLIST add a cycle for each register or word. */
enum row { ONE, LOAD_1, STORE_1, LIST, PAIR, MLA, LONG, LONG_SUM, DIVIDE, TABLE, SYSTEM, WORDS, VLIST, VMLA, VDIV, ROWS };

struct core {
    const char *name;
    uint8_t cycles[ROWS];
    uint8_t jump;        /* added when an instruction that can jump does */
    bool overlap;        /* a load of one register behind a load or store takes one cycle less */
    bool by_instruction; /* each takes one */
};

static const struct core cores[] = {
    /*          ONE LOAD STORE LIST PAIR MLA LONG SUM DIV TABLE SYS WORDS VLIST VMLA VDIV */
    { "m4",    { 1,  2,   1,    1,   3,   1,  1,   1,  7,  2,    2,  1,    1,    3,   14 }, 2, true, false },
    { "m33",   { 1,  2,   1,    1,   3,   1,  1,   1,  7,  2,    2,  1,    1,    3,   14 }, 2, true, false },
    { "m3",    { 1,  2,   1,    1,   3,   2,  4,   6,  7,  2,    2,  1,    1,    3,   14 }, 2, true, false },
    { "m0p",   { 1,  2,   2,    1,   3,   1,  1,   1,  7,  2,    2,  1,    1,    3,   14 }, 1, false, false },
    { "count", { 1,  1,   1,    1,   1,   1,  1,   1,  1,  1,    1,  1,    1,    1,   1  }, 0, false, true },
    { 0 },
};
static const struct core *core = &cores[0];

/* ---- Instructions ---- */

struct insn {
    uint64_t address;
    uint8_t size, kind, cycles, jump;
    bool alone; /* a load or store of one register */
};

/* Encodings and what they are. The first that fits counts; what fits none is OTHER and ONE. */
struct encoding { uint32_t mask, bits; uint8_t kind, row; enum { NEVER, ALWAYS, POP16, LIST32, PC32 } jumps; };

static const struct encoding thumb16[] = {
    { 0xf800, 0x4800, LOAD, LOAD_1, NEVER },    /* LDR from a literal pool */
    { 0xfc00, 0x5000, STORE, STORE_1, NEVER },  /* STR, STRH [register + register] */
    { 0xfe00, 0x5400, STORE, STORE_1, NEVER },  /* STRB */
    { 0xf000, 0x5000, LOAD, LOAD_1, NEVER },    /* LDR… */
    { 0xe800, 0x6000, STORE, STORE_1, NEVER },  /* STR, STRB [register + constant] */
    { 0xe800, 0x6800, LOAD, LOAD_1, NEVER },    /* LDR, LDRB */
    { 0xe800, 0x8000, STORE, STORE_1, NEVER },  /* STRH; STR [sp + constant] */
    { 0xe800, 0x8800, LOAD, LOAD_1, NEVER },    /* LDRH; LDR */
    { 0xfe00, 0xb400, STORE, LIST, NEVER },     /* PUSH */
    { 0xfe00, 0xbc00, LOAD, LIST, POP16 },      /* POP */
    { 0xf800, 0xc000, STORE, LIST, NEVER },     /* STM */
    { 0xf800, 0xc800, LOAD, LIST, NEVER },      /* LDM */
    { 0xf500, 0xb100, BRANCH, ONE, ALWAYS },    /* CBZ, CBNZ */
    { 0xf000, 0xd000, BRANCH, ONE, ALWAYS },    /* B<cond> */
    { 0xf800, 0xe000, BRANCH, ONE, ALWAYS },    /* B */
    { 0xff00, 0x4700, BRANCH, ONE, ALWAYS },    /* BX, BLX */
    { 0xff87, 0x4687, BRANCH, ONE, ALWAYS },    /* MOV pc */
    { 0xffc0, 0x4340, PRODUCT, ONE, NEVER },    /* MULS */
    { 0 },
};

static const struct encoding thumb32[] = {
    { 0xfff0ffe0, 0xe8d0f000, BRANCH, TABLE, ALWAYS },     /* TBB, TBH */
    { 0xfe500000, 0xe8000000, STORE, LIST, NEVER },        /* STM */
    { 0xfe500000, 0xe8100000, LOAD, LIST, LIST32 },        /* LDM */
    { 0xfe500000, 0xe8400000, STORE, PAIR, NEVER },        /* STRD, STREX */
    { 0xfe500000, 0xe8500000, LOAD, PAIR, NEVER },         /* LDRD, LDREX */
    { 0xfe100000, 0xf8000000, STORE, STORE_1, NEVER },     /* STR… */
    { 0xfe100000, 0xf8100000, LOAD, LOAD_1, PC32 },        /* LDR… */
    { 0xfb80d000, 0xf3808000, OTHER, SYSTEM, NEVER },      /* MSR, MRS, barriers */
    { 0xf8008000, 0xf0008000, BRANCH, ONE, ALWAYS },       /* B, BL */
    { 0xfff0f000, 0xfb00f000, PRODUCT, ONE, NEVER },       /* MUL */
    { 0xfff00000, 0xfb000000, PRODUCT, MLA, NEVER },       /* MLA, MLS */
    { 0xff800000, 0xfb000000, PRODUCT, ONE, NEVER },       /* SMLAD, SMMLA… */
    { 0xffd000f0, 0xfb9000f0, PRODUCT, DIVIDE, NEVER },    /* SDIV, UDIV */
    { 0xffd00000, 0xfb800000, PRODUCT, LONG, NEVER },      /* SMULL, UMULL */
    { 0xff800000, 0xfb800000, PRODUCT, LONG_SUM, NEVER },  /* SMLAL… */
    { 0xff300000, 0xed000000, STORE, WORDS, NEVER },       /* VSTR */
    { 0xff300000, 0xed100000, LOAD, WORDS, NEVER },        /* VLDR */
    { 0xfe100000, 0xec000000, STORE, VLIST, NEVER },       /* VSTM, VPUSH */
    { 0xfe100000, 0xec100000, LOAD, VLIST, NEVER },        /* VLDM, VPOP */
    { 0xefb00010, 0xee000000, OTHER, VMLA, NEVER },        /* VMLA, VMLS */
    { 0xefb00010, 0xee900000, OTHER, VMLA, NEVER },        /* VFNMA, VFNMS */
    { 0xefb00010, 0xeea00000, OTHER, VMLA, NEVER },        /* VFMA, VFMS */
    { 0xefb00010, 0xee800000, OTHER, VDIV, NEVER },        /* VDIV */
    { 0xefbf00d0, 0xeeb100c0, OTHER, VDIV, NEVER },        /* VSQRT */
    { 0 },
};

static const struct encoding riscv16[] = {
    { 0xe003, 0x4000, LOAD, ONE, NEVER },    /* C.LW */
    { 0xe003, 0x4002, LOAD, ONE, NEVER },    /* C.LWSP */
    { 0xe003, 0xc000, STORE, ONE, NEVER },   /* C.SW */
    { 0xe003, 0xc002, STORE, ONE, NEVER },   /* C.SWSP */
    { 0x6003, 0x2001, BRANCH, ONE, NEVER },  /* C.JAL, C.J */
    { 0xc003, 0xc001, BRANCH, ONE, NEVER },  /* C.BEQZ, C.BNEZ */
    { 0xe07f, 0x8002, BRANCH, ONE, NEVER },  /* C.JR, C.JALR */
    { 0 },
};

static const struct encoding riscv32[] = {
    { 0x0000007f, 0x00000003, LOAD, ONE, NEVER },
    { 0x0000007f, 0x00000023, STORE, ONE, NEVER },
    { 0x0000007f, 0x00000063, BRANCH, ONE, NEVER },    /* BEQ… */
    { 0x0000007f, 0x00000067, BRANCH, ONE, NEVER },    /* JALR */
    { 0x0000007f, 0x0000006f, BRANCH, ONE, NEVER },    /* JAL */
    { 0xfe00007f, 0x02000033, PRODUCT, ONE, NEVER },   /* MUL, DIV… */
    { 0 },
};

static bool riscv;

static unsigned ones(uint32_t bits) { return (unsigned)__builtin_popcount(bits); }

static struct insn decode(const insn_of_qemu *from)
{
    uint16_t half[2] = { 0, 0 };
    size_t size = qemu_plugin_insn_size(from);
    memcpy(half, qemu_plugin_insn_data(from), size < 4 ? size : 4);
    /* The encoding tells its size; QEMU 7.2 is wrong about some at the end of a page. */
    bool wide = riscv ? (half[0] & 3) == 3 : half[0] >= 0xe800;
    uint32_t bits = !wide ? half[0] : riscv ? half[0] | (uint32_t)half[1] << 16 : half[1] | (uint32_t)half[0] << 16;
    const struct encoding *e = riscv ? (wide ? riscv32 : riscv16) : wide ? thumb32 : thumb16;
    while (e->mask && (bits & e->mask) != e->bits) e++;

    struct insn insn = { .address = qemu_plugin_insn_vaddr(from), .size = wide ? 4 : 2 };
    insn.kind = e->kind;
    insn.cycles = core->cycles[e->row];
    insn.alone = e->row == LOAD_1 || e->row == STORE_1 || e->row == WORDS;
    bool jumps = e->jumps == ALWAYS || (e->jumps == POP16 && bits & 0x100) || (e->jumps == LIST32 && bits & 0x8000)
        || (e->jumps == PC32 && (bits & 0xf000) == 0xf000);
    insn.jump = jumps ? core->jump : 0;
    unsigned more = 0;
    if (e->row == LIST) more = ones(wide ? bits & 0xffff : (bits & 0xf000) == 0xb000 ? bits & 0x1ff : bits & 0xff);
    if (e->row == WORDS) more = 1 + (bits >> 8 & 1);
    if (e->row == VLIST) more = bits & 0xff;
    if (!core->by_instruction) insn.cycles += (uint8_t)more;
    return insn;
}

/* Whether a load hides a cycle behind what comes before it. */
static bool overlaps(const struct insn *before, const struct insn *insn)
{
    return core->overlap && insn->kind == LOAD && insn->alone && insn->cycles == core->cycles[LOAD_1] && before->alone;
}

/* ---- Blocks ---- */

struct block {
    bool begins, ends;          /* is the instruction at `begin`; starts with the one at `end` */
    uint64_t times;             /* executions while counting */
    uint64_t jumps, overlaps;   /* how many of them ended with a jump; started with a hidden cycle */
    uint64_t cycles;            /* of one, without those */
    uint64_t kinds[KINDS];
    struct block *next;
    size_t length;
    struct insn insns[];
};

static struct block *blocks, *previous;
static uint64_t begin, end;
static bool counting;
static const char *hot;

static unsigned region;
static struct { uint64_t insns, cycles, jumps, kinds[KINDS]; } sum;

static void report(void)
{
    char line[256];
    snprintf(line, sizeof line,
        "cycles: region=%u insns=%" PRIu64 " cycles=%" PRIu64 " loads=%" PRIu64 " stores=%" PRIu64 " muls=%" PRIu64
        " branches=%" PRIu64 " taken=%" PRIu64 "\n",
        region++, sum.insns, sum.cycles, sum.kinds[LOAD], sum.kinds[STORE], sum.kinds[PRODUCT], sum.kinds[BRANCH],
        sum.jumps);
    qemu_plugin_outs(line);
    memset(&sum, 0, sizeof sum);
}

static void executed(unsigned cpu, void *data)
{
    (void)cpu;
    struct block *block = data, *before = previous;
    previous = block;
    if (!counting) {
        counting = block->begins;
        if (counting) previous = NULL;
        return;
    }
    if (block->ends) {
        counting = false;
        report();
        return;
    }
    block->times++;
    sum.insns += block->length;
    sum.cycles += block->cycles;
    for (int kind = 0; kind < KINDS; kind++) sum.kinds[kind] += block->kinds[kind];
    if (!before) return;
    const struct insn *last = &before->insns[before->length - 1], *first = &block->insns[0];
    if (last->jump && last->address + last->size != first->address) {
        before->jumps++;
        sum.jumps++;
        sum.cycles += last->jump;
    }
    if (overlaps(last, first)) {
        block->overlaps++;
        sum.cycles--;
    }
}

static void translated(plugin_id id, block_of_qemu *from)
{
    (void)id;
    size_t count = qemu_plugin_tb_n_insns(from);
    for (size_t at = 0; at < count;) {
        struct block *block = calloc(1, sizeof *block + (count - at) * sizeof *block->insns);
        if (!block) abort();
        qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(from, at), executed, 0, block);
        for (; at < count; at++) {
            struct insn insn = decode(qemu_plugin_tb_get_insn(from, at));
            struct insn *before = block->length ? &block->insns[block->length - 1] : NULL;
            if (before && (block->begins || insn.address == begin || insn.address == end)) break;
            block->begins |= insn.address == begin;
            block->ends |= insn.address == end;
            block->cycles += insn.cycles;
            if (before && overlaps(before, &insn)) block->cycles--;
            block->kinds[insn.kind]++;
            block->insns[block->length++] = insn;
        }
        block->next = blocks;
        blocks = block;
    }
}

static void finished(plugin_id id, void *data)
{
    (void)id; (void)data;
    if (counting) report();
    FILE *file = hot ? fopen(hot, "w") : NULL;
    if (!file) return;
    for (const struct block *block = blocks; block; block = block->next) {
        for (size_t i = 0; block->times && i < block->length; i++) {
            const struct insn *insn = &block->insns[i];
            uint64_t cycles = block->times * insn->cycles;
            cycles -= i ? block->times * overlaps(insn - 1, insn) : block->overlaps;
            if (i + 1 == block->length) cycles += block->jumps * insn->jump;
            fprintf(file, "%08" PRIx64 " %" PRIu64 " %" PRIu64 "\n", insn->address, block->times, cycles);
        }
    }
    fclose(file);
}

/* An address among the arguments; an odd one is Arm's way to say Thumb. */
static uint64_t address(const char *text) { return strtoull(text, NULL, 16) & ~(uint64_t)1; }

EXPORT int qemu_plugin_install(plugin_id id, const plugin_info *info, int argc, char **argv)
{
    riscv = !strncmp(info->target_name, "riscv", 5);
    for (int i = 0; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        const char *value = equals ? equals + 1 : "";
        if (!strncmp(argv[i], "begin=", 6)) begin = address(value);
        else if (!strncmp(argv[i], "end=", 4)) end = address(value);
        else if (!strncmp(argv[i], "hot=", 4)) hot = strdup(value);
        else if (!strncmp(argv[i], "core=", 5)) {
            for (core = cores; core->name && strcmp(core->name, value); core++) {}
            if (!core->name) break;
        }
    }
    if (!begin || !end || !core->name || (riscv && !core->by_instruction)) {
        fprintf(stderr, "counter: begin=ADDRESS, end=ADDRESS and core=m4|m33|m3|m0p|count are needed; for RISC-V, count\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
