//go:build !noasm

#include "textflag.h"

// func blocksAboveAVX2(logits *float32, blocks int, limit float32, found *[256]uint32) (n, seen int)
TEXT ·blocksAboveAVX2(SB), NOSPLIT, $0-48
	MOVQ         logits+0(FP), SI
	MOVQ         blocks+8(FP), CX
	VBROADCASTSS limit+16(FP), Y0
	MOVQ         found+24(FP), DI
	XORQ         AX, AX             // blocks found
	XORQ         BX, BX             // logits seen

loop:
	TESTQ     CX, CX
	JZ        done
	CMPQ      AX, $256
	JEQ       done
	VCMPPS    $18, (SI)(BX*4), Y0, Y1   // limit <= x, ordered
	VCMPPS    $18, 32(SI)(BX*4), Y0, Y2
	VCMPPS    $18, 64(SI)(BX*4), Y0, Y3
	VCMPPS    $18, 96(SI)(BX*4), Y0, Y4
	VORPS     Y1, Y2, Y1
	VORPS     Y3, Y4, Y3
	VORPS     Y1, Y3, Y1
	VMOVMSKPS Y1, DX
	MOVL      BX, (DI)(AX*4)
	NEGL      DX                    // sets carry unless zero
	ADCQ      $0, AX
	ADDQ      $32, BX
	DECQ      CX
	JMP       loop

done:
	VZEROUPPER
	MOVQ AX, n+32(FP)
	MOVQ BX, seen+40(FP)
	RET
