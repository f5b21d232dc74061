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
"$SIEVERT" run twice.ptx --grid 2 --block 50 fill:100:1.5=out.npy i32:90 --profile
od -A n -t f4 -j 128 -N 16 out.npy
"$SIEVERT" run twice.ptx --grid 9000 --block 64 zeros:100 i32:1000000
"$SIEVERT" run twice.ptx zeros:100
"$SIEVERT" run twice.ptx zeros:100 f32:x
"$SIEVERT" run twice.ptx --kernel thrice zeros:100 i32:1
sed 's/add.rn.f32/tex.1d.v4.f32/' twice.ptx > odd.ptx
"$SIEVERT" run odd.ptx zeros:100 i32:1
"$SIEVERT" run odd.ptx --lazy zeros:100 i32:0
"$SIEVERT" run odd.ptx --lazy zeros:100 i32:1
"$SIEVERT" run twice.ptx fill:3:-7:i16=ints.npy i32:0
od -A n -t d2 -j 128 ints.npy
"$SIEVERT" run twice.ptx ints.npy=again.npy i32:0 && cmp ints.npy again.npy
"$SIEVERT" run twice.ptx zeros:3:i12 i32:0
