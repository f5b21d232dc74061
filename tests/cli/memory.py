"""memory.py SIEVERT: what `sievert run` promises of its memory: at most twice its buffers and 64 MB."""
import os
import resource
import subprocess
import sys
import tempfile

N = 16 << 20  # elements of a buffer: 64 MiB
COPY = """.version 7.0
.target sm_80
.address_size 64
.entry copy(.param .u64 x, .param .u64 y)
{
    .reg .b32 %r<4>;
    .reg .b64 %d<3>;
    ld.param.u64 %d1, [x];
    ld.param.u64 %d2, [y];
    mov.u32 %r1, %ctaid.x;
    mov.u32 %r2, %tid.x;
    mad.lo.u32 %r1, %r1, 1024, %r2;
    mad.wide.u32 %d1, %r1, 4, %d1;
    mad.wide.u32 %d2, %r1, 4, %d2;
    ld.global.u32 %r3, [%d1];
    st.global.u32 [%d2], %r3;
    ret;
}
"""


def most_memory(command):
    """In MiB, of a process that this small one starts."""
    child = os.fork()
    if child == 0:
        done = subprocess.run(command, stdout=subprocess.DEVNULL)
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        with open("most", "w", encoding="ascii") as f:
            f.write(str(most))
        os._exit(done.returncode != 0)
    assert os.waitpid(child, 0)[1] == 0, command
    with open("most", encoding="ascii") as f:
        return float(f.read())


def main():
    sievert = os.path.realpath(sys.argv[1])
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        with open("copy.ptx", "w", encoding="ascii") as f:
            f.write(COPY)
        for source in (f"fill:{N}:1.5=x.npy", "x.npy", "raw:x.npy", f"fill:{N}:7:i32=i.npy", "i.npy"):
            launch = ["copy.ptx", "--grid", str(N >> 10), "--block", "1024", source, f"zeros:{N}=y.npy"]
            most = most_memory([sievert, "run", "-q", *launch])
            limit = 2 * (2 * N * 4 >> 20) + 64
            print(f"{source}: {most:.0f} MiB, at most {limit}")
            assert most <= limit
            if source.endswith("x.npy"):
                with open("x.npy", "rb") as x, open("y.npy", "rb") as y:
                    assert x.read() == y.read()


main()
