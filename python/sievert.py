"""Sievert from Python: libsievert through ctypes, results as plain lists and tuples.

    import sievert
    sievert.inject("run.db", "implicit-gemm", "1x6x14x14:16x5x5", x, w, injections=1000)
    with sievert.Results("run.db") as run:
        critical = [i for i in run if i.outcome == "SDC" and i.corrupted > 100]
        faulty = run.tensor(critical[0].number)      # array('f'); numpy.frombuffer takes it as it is
    model = sievert.Model.build("gemm.json", "run.db")
    model.corrupt(activations, (16, 10, 10), seed=1, number=7)

Tensors are anything with the buffer protocol that holds float32 in C order (array('f'), a contiguous
NumPy array), or any sequence of numbers where they are only read. The library is found beside this
module's installation, by the system, or through SIEVERT_LIBRARY. Failures raise sievert.Error.
"""
import array
import ctypes
import glob
import json
import os
from collections import namedtuple
from ctypes import (POINTER, Structure, byref, c_bool, c_char, c_char_p, c_double, c_float,
                    c_int, c_size_t, c_uint32, c_uint64, c_void_p)


class Error(Exception):
    """What the library says; .status, .file and .line as in sievert.h."""

    def __init__(self, raw):
        self.status, self.file, self.line = raw.status, raw.file.decode(), raw.line
        place = self.file + (f":{raw.line}:{raw.column}" if raw.line else "") + ": " if self.file else ""
        super().__init__(place + raw.message.decode())


class _Error(Structure):
    _fields_ = [("status", c_int), ("line", c_int), ("column", c_int), ("file", c_char * 256),
                ("message", c_char * 512)]


class _Sizes(Structure):
    _fields_ = [("output_dim", c_size_t * 4), ("input", c_size_t), ("filter", c_size_t),
                ("output", c_size_t)]


class _Convolution(Structure):
    _fields_ = [("implementation", c_char_p), ("shape", c_char_p), ("tile", c_char_p),
                ("input", c_void_p), ("filter", c_void_p)]


class _Run(Structure):
    _fields_ = [("warp_instructions", c_uint64), ("thread_instructions", c_uint64),
                ("workspace_bytes", c_uint64)]


class _Campaign(Structure):
    _fields_ = [("convolution", _Convolution), ("fault", c_char_p), ("injections", c_uint64),
                ("seed", c_uint64), ("jobs", c_int), ("stop", POINTER(c_bool))]


class _Injection(Structure):
    _fields_ = [("number", c_uint64), ("outcome", c_int), ("trap", c_int), ("pattern", c_int),
                ("launch", c_uint32), ("warp", c_uint32), ("lane", c_uint32), ("cta", c_uint64),
                ("ptx_line", c_int), ("source_line", c_int), ("bits", c_int), ("before", c_uint64),
                ("after", c_uint64), ("corrupted", c_uint64), ("max_abs_error", c_double)]


class _Classes(Structure):
    _fields_ = [("corrupted", c_uint64), ("channels", c_uint64), ("pattern", c_int),
                ("max_abs_error", c_double)]


def _open_library():
    here = os.path.dirname(os.path.abspath(__file__))
    beside = sorted(glob.glob(os.path.join(here, "..", "..", "libsievert.so.0")) +
                    glob.glob(os.path.join(here, "..", "..", "*", "libsievert.so.0")))
    for name in [os.environ.get("SIEVERT_LIBRARY"), *beside, "libsievert.so.0"]:
        if name:
            try:
                return ctypes.CDLL(name)
            except OSError as e:
                failure = e
    raise ImportError(f"libsievert.so.0 is not there; set SIEVERT_LIBRARY to its path: {failure}")


_lib = _open_library()


def _declare(name, result, *arguments):
    f = getattr(_lib, "sievert_" + name)
    f.restype, f.argtypes = result, arguments
    return f


_E = POINTER(_Error)
_FLOATS = c_void_p
_declare("version", c_char_p)
_declare("word", c_char_p, c_int, c_int)
_declare("implementation", c_char_p, c_int)
_declare("sizes", c_int, POINTER(_Sizes), c_char_p, _E)
_declare("convolve", c_int, _FLOATS, POINTER(_Run), POINTER(_Convolution), _E)
_declare("inject", c_int, c_char_p, POINTER(_Campaign), _E)
_declare("results_open", c_int, POINTER(c_void_p), c_char_p, _E)
_declare("results_close", None, c_void_p)
_declare("results_count", c_uint64, c_void_p)
_declare("results_read", c_int, POINTER(_Injection), c_void_p, c_uint64, c_uint64, _E)
_declare("results_dim", None, c_size_t * 4, c_void_p)
_declare("results_golden", None, _FLOATS, c_void_p)
_declare("results_tensor", c_int, _FLOATS, c_void_p, c_uint64, _E)
_declare("classify", c_int, POINTER(_Classes), _FLOATS, _FLOATS, c_size_t * 4, c_double, _E)
_declare("model_build", c_int, c_char_p, c_char_p, c_double, _E)
_declare("model_open", c_int, POINTER(c_void_p), c_char_p, _E)
_declare("model_close", None, c_void_p)
_declare("model_corrupt", c_int, _FLOATS, POINTER(c_int), c_void_p, c_size_t * 3, c_uint64, c_uint64, _E)
_declare("study", c_int, c_char_p, c_char_p, c_int, _E)
_declare("report", c_int, POINTER(c_void_p), c_char_p, _E)
_declare("free", None, c_void_p)
_declare("wilson", None, POINTER(c_double), POINTER(c_double), c_uint64, c_uint64, c_double)


def _call(name, *arguments):
    error = _Error()
    if getattr(_lib, "sievert_" + name)(*arguments, byref(error)) != 0:
        raise Error(error)


def _path(p):
    return os.fsencode(os.fspath(p))


def _words(vocabulary):
    words = []
    while (w := _lib.sievert_word(vocabulary, len(words))) is not None:
        words.append(w.decode())
    return words


__version__ = _lib.sievert_version().decode()
OUTCOMES, TRAPS, PATTERNS, EFFECTS = (_words(v) for v in range(4))
IMPLEMENTATIONS = []
while (_name := _lib.sievert_implementation(len(IMPLEMENTATIONS))) is not None:
    IMPLEMENTATIONS.append(_name.decode())


def _is_float32(view):
    return view.format in ("f", "<f", "=f") and view.c_contiguous


def _floats(values, n, what, writable=False):
    """A ctypes array on the values (shared if they are a buffer of float32), of n floats."""
    try:
        view = memoryview(values)
    except TypeError:
        view = None
    if view is not None and _is_float32(view) and view.nbytes == 4 * n and not view.readonly:
        return (c_float * n).from_buffer(view.cast("B"))
    if writable:
        raise TypeError(f"{what}: a writable buffer of {n} float32 is needed, to be changed in place")
    flat = array.array("f")
    if view is not None and _is_float32(view):
        flat.frombytes(view.cast("B"))
    else:
        flat.extend(_flatten(values))
    if len(flat) != n:
        raise ValueError(f"{what}: {len(flat)} values, not the {n} of its shape")
    return (c_float * n).from_buffer(flat)


def _flatten(values):
    for v in values:
        if hasattr(v, "__len__"):
            yield from _flatten(v)
        else:
            yield float(v)


Sizes = namedtuple("Sizes", "output_dim input filter output")
Run = namedtuple("Run", "output dim warp_instructions thread_instructions workspace_bytes")
Injection = namedtuple("Injection", [f[0] for f in _Injection._fields_])
Classes = namedtuple("Classes", "corrupted channels pattern max_abs_error")


def sizes(shape):
    """Dimensions of the output, and how many floats input, filter and output have."""
    s = _Sizes()
    _call("sizes", byref(s), shape.encode())
    return Sizes(tuple(s.output_dim), s.input, s.filter, s.output)


def _convolution(implementation, shape, input, filter, tile):
    s = sizes(shape)
    keep = _floats(input, s.input, "input"), _floats(filter, s.filter, "filter")
    c = _Convolution(implementation.encode(), shape.encode(), tile.encode() if tile else None,
                     ctypes.addressof(keep[0]), ctypes.addressof(keep[1]))
    c.keep = keep
    return c, s


def convolve(implementation, shape, input, filter, tile=None):
    """Simulate a convolution without faults."""
    c, s = _convolution(implementation, shape, input, filter, tile)
    output, run = array.array("f", bytes(4 * s.output)), _Run()
    _call("convolve", _address(output), byref(run), byref(c))
    return Run(output, s.output_dim, run.warp_instructions, run.thread_instructions,
               run.workspace_bytes)


def _address(floats):
    return floats.buffer_info()[0]


def inject(store, implementation, shape, input, filter, injections=1000, seed=1,
           fault="gp:single-bit:thread", tile=None, jobs=0):
    """Run a campaign into a store, or continue it."""
    c, _ = _convolution(implementation, shape, input, filter, tile)
    _call("inject", _path(store), byref(_Campaign(c, fault.encode(), injections, seed, jobs, None)))


class _Handle:
    _closer = None

    def close(self):
        if self._handle:
            self._closer(self._handle)
            self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "_handle", None):
            self.close()


class Results(_Handle):
    """The injections of a store: a sequence of Injection, and their tensors."""
    _closer = _lib.sievert_results_close

    def __init__(self, store):
        handle = c_void_p()
        _call("results_open", byref(handle), _path(store))
        self._handle = handle
        dim = (c_size_t * 4)()
        _lib.sievert_results_dim(dim, handle)
        self.dim = tuple(dim)
        self._n_floats = dim[0] * dim[1] * dim[2] * dim[3]

    def __len__(self):
        return _lib.sievert_results_count(self._handle)

    def __getitem__(self, number):
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self.read(number, 1)[0]

    def read(self, first=0, n=None):
        """Injections first to first + n - 1 (to the last)."""
        n = len(self) - first if n is None else n
        raw = (_Injection * max(n, 1))()
        _call("results_read", raw, self._handle, first, n)
        rows = []
        for i in raw[:n]:
            row = Injection(*(getattr(i, f[0]) for f in _Injection._fields_))
            rows.append(row._replace(outcome=OUTCOMES[i.outcome], trap=TRAPS[i.trap],
                                     pattern=PATTERNS[i.pattern] if i.pattern >= 0 else None))
        return rows

    def golden(self):
        out = array.array("f", bytes(4 * self._n_floats))
        _lib.sievert_results_golden(_address(out), self._handle)
        return out

    def tensor(self, number):
        """The output that injection `number` left."""
        out = array.array("f", bytes(4 * self._n_floats))
        _call("results_tensor", _address(out), self._handle, number)
        return out


def classify(golden, faulty, dim, epsilon=0.0):
    """Compare two tensors N,C,H,W."""
    n = dim[0] * dim[1] * dim[2] * dim[3]
    a, b, c = _floats(golden, n, "golden"), _floats(faulty, n, "faulty"), _Classes()
    _call("classify", byref(c), a, b, (c_size_t * 4)(*dim), epsilon)
    return Classes(c.corrupted, c.channels, PATTERNS[c.pattern] if c.pattern >= 0 else None,
                   c.max_abs_error)


class Model(_Handle):
    """An error model."""
    _closer = _lib.sievert_model_close

    def __init__(self, path):
        handle = c_void_p()
        _call("model_open", byref(handle), _path(path))
        self._handle = handle

    @classmethod
    def build(cls, path, store, epsilon=0.0):
        """Build a model from a campaign's store and write it to path."""
        _call("model_build", _path(path), _path(store), epsilon)
        return cls(path)

    def corrupt(self, tensor, chw, seed=1, number=0):
        """Put one error, drawn from (seed, number), in a float32 buffer C,H,W; returns its pattern."""
        n = chw[0] * chw[1] * chw[2]
        floats, pattern = _floats(tensor, n, "tensor", writable=True), c_int()
        _call("model_corrupt", floats, byref(pattern), self._handle, (c_size_t * 3)(*chw), seed, number)
        return PATTERNS[pattern.value]


def study(folder, study_file, jobs=0):
    """Everything a study file asks for, in folder."""
    _call("study", _path(folder), _path(study_file), jobs)


def report(store):
    """The report of a campaign as a dictionary: docs/FORMATS.md."""
    text = c_void_p()
    _call("report", byref(text), _path(store))
    try:
        return json.loads(ctypes.string_at(text))
    finally:
        _lib.sievert_free(text)


def wilson(k, n, confidence=0.95):
    """Wilson's interval for k of n."""
    lo, hi = c_double(), c_double()
    _lib.sievert_wilson(byref(lo), byref(hi), k, n, confidence)
    return lo.value, hi.value
