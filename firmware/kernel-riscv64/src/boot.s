# Every hart enters at _start. Hart 0 clears .bss; the others wait until it says so.
    .section .text.boot, "ax"
    .globl _start
_start:
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    csrw    mie, zero
    la      t0, trap
    csrw    mtvec, t0
    li      t0, 0x6000          # mstatus.FS = dirty: compiled code may use the f registers
    csrs    mstatus, t0
    csrr    a0, mhartid
    li      t0, 8
    bgeu    a0, t0, park        # more harts than stacks
    la      sp, __stacks_top    # sp = top - hart * 64 KiB
    slli    t0, a0, 16
    sub     sp, sp, t0
    bnez    a0, wait
    la      t0, __bss_start
    la      t1, __bss_end
1:  bgeu    t0, t1, 2f
    sd      zero, 0(t0)
    addi    t0, t0, 8
    j       1b
2:  la      t0, go
    li      t1, 1
    fence   rw, w
    sw      t1, 0(t0)
    j       enter
wait:
    la      t0, go
3:  .word   0x0100000f          # pause
    lw      t1, 0(t0)
    beqz    t1, 3b
    fence   r, rw
enter:
    call    hart_main
park:
    wfi
    j       park
    .balign 4
trap:
    csrr    a0, mcause
    csrr    a1, mepc
    csrr    a2, mtval
    call    trapped

    .section .data              # not .bss, which is being cleared while they look
    .balign 4
go: .word   0
    .text
