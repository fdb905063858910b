# PVH: the boot CPU enters at _start32 in 32-bit protected mode, paging off. It maps 4 GiB one to one, goes to long
# mode, and later wakes the others, which come in 16-bit mode through the trampoline and join it.
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 8, 18              # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad _start32

    .section .boot, "ax"
    .code32
    .globl _start32
_start32:
    cli
    cld
    movl $__bss_start, %edi     # the page tables are in .bss: clear it first
    movl $__bss_end, %ecx
    subl %edi, %ecx
    xorl %eax, %eax
    rep stosb
    movl $directory_pointers + 3, top_level
    movl $directories + 3, %eax
    xorl %ecx, %ecx
1:  movl %eax, directory_pointers(,%ecx,8)
    addl $4096, %eax
    incl %ecx
    cmpl $4, %ecx
    jne 1b
    xorl %ecx, %ecx
    movl $0x83, %eax            # present, writable, 2 MiB
2:  movl %eax, directories(,%ecx,8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $2048, %ecx
    jne 2b
    lgdtl gdt_pointer
long_mode:                      # all CPUs
    movl $top_level, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x620, %eax            # PAE, OSFXSR, OSXMMEXCPT: compiled code uses SSE
    movl %eax, %cr4
    movl $0xc0000080, %ecx      # EFER.LME
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    andl $0xfffffffb, %eax      # not EM
    orl $0x80010003, %eax       # PG, WP, MP, PE
    movl %eax, %cr0
    ljmpl $8, $start64
    .code64
start64:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $1, %eax               # CPUs are numbered as they come
    lock xaddl %eax, ticket
    cmpl $8, %eax
    jae 9f
    movl %eax, %edi
    shll $16, %eax              # 64 KiB of stack each
    movq $__stacks_top, %rsp
    subq %rax, %rsp
    xorl %ebp, %ebp
    call cpu_main
9:  cli
    hlt
    jmp 9b

    .globl roused
roused:                         # an interrupt that only ends a halt
    pushq %rax
    movl $0xfee000b0, %eax      # the local APIC's end of interrupt
    movl $0, (%rax)
    popq %rax
    iretq

    .code16
    .globl trampoline
    .globl trampoline_end
trampoline:                     # copied to 0x8000, entered by SIPI vector 8
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl 0x8000 + trampoline_gdt_pointer - trampoline
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $24, $protected
trampoline_gdt_pointer:
    .word 31
    .long gdt
trampoline_end:
    .code32
protected:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    jmp long_mode
    .code64

    .section .data
    .align 16
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    # 8: 64-bit code
    .quad 0x00cf93000000ffff    # 16: data
    .quad 0x00cf9b000000ffff    # 24: 32-bit code
gdt_pointer:
    .word 31
    .long gdt
    .align 4
ticket:
    .long 0

    .section .bss
    .align 4096
top_level:
    .skip 4096
directory_pointers:
    .skip 4096
directories:
    .skip 16384
    .text
