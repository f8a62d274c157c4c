/* Lets one library of this process believe that an x86-64 processor has neither AVX-512 nor dot
   products of eight-bit integers, so that it takes the code that it has for AVX2.

   Each instruction CPUID of the library (two bytes) becomes a trap and a no-op; the handler asks the
   processor itself and clears what is to be hidden. The bits: Intel's Software Developer's Manual,
   volume 2A, CPUID, leaf 7. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define BIT(n) (1u << (n))

static const uint32_t AVX512_B = BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31);
static const uint32_t AVX512_C = BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14);
static const uint32_t AVX512_AND_AMX_D = BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25);
static const uint32_t VNNI_AND_BF16_A = BIT(4) | BIT(5) | BIT(23);
static const uint32_t VNNI_INT8_D = BIT(4) | BIT(5) | BIT(10) | BIT(19);

static int hidden;

static void answer(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint32_t leaf = (uint32_t)registers[REG_RAX], part = (uint32_t)registers[REG_RCX];
    uint32_t a, b, c, d;
    __cpuid_count(leaf, part, a, b, c, d);
    if (leaf == 7 && part == 0) {
        b &= ~AVX512_B;
        c &= ~AVX512_C;
        d &= ~AVX512_AND_AMX_D;
        hidden++;
    } else if (leaf == 7 && part == 1) {
        a &= ~VNNI_AND_BF16_A;
        d &= ~VNNI_INT8_D;
        hidden++;
    }
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
}

/* Replace the instruction at each address; return 0, or -1 where none stands or it may not be written. */
int hide(const uint64_t *places, int count)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO;
    if (sigaction(SIGTRAP, &action, NULL) != 0)
        return -1;
    long page = sysconf(_SC_PAGESIZE);
    for (int i = 0; i < count; i++) {
        unsigned char *code = (unsigned char *)places[i];
        if (code[0] != 0x0f || code[1] != 0xa2)
            return -1;
        unsigned char *begin = (unsigned char *)(places[i] / page * page);
        if (mprotect(begin, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
            return -1;
        code[0] = 0xcc;
        code[1] = 0x90;
        mprotect(begin, 2 * page, PROT_READ | PROT_EXEC);
    }
    return 0;
}

/* How often something was hidden so far. */
int times_hidden(void) { return hidden; }
