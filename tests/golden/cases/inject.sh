# Any PTX kernel: results, profile, and where it stops when it goes wrong.
cat > twice.ptx <<'PTX'
.version 6.3
.target sm_70
.address_size 64
.visible .entry twice(.param .u64 x, .param .u32 n)
{
	.reg .pred %p<2>; .reg .b32 %r<6>; .reg .b64 %rd<4>; .reg .f32 %f<3>;
	.loc 1 1 0
	ld.param.u64 %rd1, [x]; ld.param.u32 %r1, [n];
	mov.u32 %r2, %tid.x; mov.u32 %r3, %ctaid.x; mov.u32 %r4, %ntid.x;
	mad.lo.s32 %r5, %r3, %r4, %r2;
	.loc 1 2 0
	setp.ge.s32 %p1, %r5, %r1; @%p1 bra DONE;
	.loc 1 3 0
	mul.wide.s32 %rd2, %r5, 4; add.s64 %rd3, %rd1, %rd2;
	ld.global.f32 %f1, [%rd3]; add.rn.f32 %f2, %f1, %f1; st.global.f32 [%rd3], %f2;
DONE:
	ret;
}
PTX
args="--grid 2 --block 50 fill:100:1.5=out.npy i32:90"
"$SIEVERT" inject twice.ptx $args -n 300 -q -o a.db | head -5
"$SIEVERT" replay a.db 3
"$SIEVERT" inject twice.ptx $args -n 300 -q -o b.db --fault output@launch:stuck-at-1
"$SIEVERT" inject twice.ptx $args -n 300 -q -o b.db --fault output@launch --check 'test -s' | sed -n 5p
"$SIEVERT" replay b.db 1 | sed -n 2,5p
"$SIEVERT" inject twice.ptx $args -n 300 -q -o b.db --fault output@launch --check 'test -f'
"$SIEVERT" inject twice.ptx $args -n 300 -q -o c.db --check false
"$SIEVERT" inject twice.ptx $args -n 10 -q -o c.db --fault shared
"$SIEVERT" inject twice.ptx $args -n 10 -q -o c.db --impl gemm
"$SIEVERT" inject twice.ptx $args -n 300 -q -o c.db --line 3 | sed -n 2,5p
