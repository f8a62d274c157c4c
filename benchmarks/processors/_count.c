/* A plugin of qemu that counts the instructions which an emulated program runs.

   A program marks a place by a system call that does not exist, MARK, with a number of its own; for
   each, a line "mark NUMBER COUNT" goes to the file that is given with out=FILE: instructions since
   the start. Blocks are counted as they begin; few of them are left before their end.

   The interface is that of docs/devel/tcg-plugins.rst of qemu, declared here as far as it is used,
   for Debian does not package its header. VERSION: that of the interface, 1 up to qemu 8.2. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MARK 4242
#define VISIBLE __attribute__((visibility("default")))

struct qemu_plugin_tb;
typedef void (*translated)(uint64_t id, struct qemu_plugin_tb *block);
typedef void (*executed)(unsigned int cpu, void *given);
typedef void (*called)(uint64_t id, unsigned int cpu, int64_t number, uint64_t a1, uint64_t a2,
                       uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7,
                       uint64_t a8);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, translated callback);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, executed callback, int flags,
                                          void *given);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t id, called callback);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);

VISIBLE int qemu_plugin_version = VERSION;
static uint64_t instructions;
static FILE *out;

static void count(unsigned int cpu, void *given)
{
    (void)cpu;
    instructions += (uintptr_t)given;
}

static void translate(uint64_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    uintptr_t length = qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_cb(block, count, 0, (void *)length);
}

static void mark(uint64_t id, unsigned int cpu, int64_t number, uint64_t a1, uint64_t a2,
                 uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)cpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number == MARK) {
        fprintf(out, "mark %llu %llu\n", (unsigned long long)a1, (unsigned long long)instructions);
        fflush(out);
    }
}

VISIBLE int qemu_plugin_install(uint64_t id, const void *about, int argc, char **argv)
{
    (void)about;
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0)
        return -1;
    out = fopen(argv[0] + 4, "w");
    if (out == NULL)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_vcpu_syscall_cb(id, mark);
    return 0;
}
