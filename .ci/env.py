"""Makes the environment `.venv` from settings.ini and constraints.txt; does nothing when it is up to date."""
import ast, hashlib, os, shutil, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT/'.venv'
PYTHON = VENV/'bin'/'python'
INPUTS = ['settings.ini', 'constraints.txt', 'setup.py', '.ci/env.py', '.ci/torchvision_cpu.py']

def key(folder):
    "What an environment was made from: its inputs, its Python and its place (environments cannot be moved)."
    parts = [(ROOT/f).read_bytes() for f in INPUTS] + [sys.version.encode(), str(folder).encode()]
    return hashlib.sha256(b'\0'.join(parts)).hexdigest()

def pip_settings():
    "Where pip looks for packages, from its own configuration, as options for uv."
    out = subprocess.run([str(PYTHON), '-m', 'pip', 'config', 'list'], stdout=subprocess.PIPE,
                         universal_newlines=True).stdout
    found = {}
    for line in out.splitlines():
        name, _, value = line.partition('=')
        found.setdefault(name.split('.')[-1], ast.literal_eval(value).split())     # variables come before files
    options = [o for k in ('index-url', 'extra-index-url', 'find-links') for v in found.get(k, [])
               for o in (f'--{k}', v)]
    if 'extra-index-url' in found: options += ['--index-strategy', 'unsafe-best-match']    # as pip chooses
    if found.get('no-index') in (['1'], ['true']): options += ['--no-index']
    if 'cert' in found: os.environ.setdefault('SSL_CERT_FILE', found['cert'][0])
    return options

def install(python, *what):
    "Install `what` under the constraints for this interpreter: by uv, or by pip where uv cannot be had or fails."
    quiet, uv = [] if sys.stderr.isatty() else ['-q'], VENV/'bin'/'uv'
    pinned = [*quiet, '-c', str(ROOT/'constraints.txt'), *map(str, what)]
    if uv.exists():
        command = [str(uv), 'pip', 'install', '--python', str(python), *pip_settings(), '-b',
                   str(ROOT/'constraints.txt'), *pinned]
        if not subprocess.run(command, cwd=str(ROOT)).returncode: return
        print('uv could not install the packages; trying pip', flush=True)
    if subprocess.run([str(PYTHON), '-m', 'pip', '--python', str(python), 'install', *pinned],
                      cwd=str(ROOT)).returncode:
        sys.exit('The packages could not be installed: read the message above, check the network and constraints.txt, '
                 'and call make again')

def new(folder, *options):
    "An empty virtual environment."
    shutil.rmtree(str(folder), ignore_errors=True)
    python = getattr(sys, '_base_executable', None) or sys.executable      # not one in the folder just deleted
    if subprocess.run([python, '-m', 'venv', *options, str(folder)], stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL).returncode:
        sys.exit(f'{python} cannot make virtual environments: install its module venv (Debian: python3-venv)')

def fresh(folder):
    "Is this environment made from the inputs as they are?"
    stamp = folder/'made-from'
    return stamp.exists() and stamp.read_text() == key(folder)

def main():
    if sys.version_info < (3, 11):
        sys.exit(f'galaxy_nbdev needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}: '
                 'install one, or name it: make PYTHON=/path/to/python3.11')
    if fresh(VENV): return
    print('Making .venv: a minute or two, once', flush=True)
    new(VENV)
    bootstrap = [str(PYTHON), '-m', 'pip', 'install', '-q', '-c', str(ROOT/'constraints.txt'), 'uv']
    if subprocess.run(bootstrap, stderr=subprocess.DEVNULL).returncode:
        print('uv cannot be had here: pip installs, which takes longer', flush=True)
    install(PYTHON, '-e', '.[dev,dask,accelerate,imagenet]')
    site = next(VENV.glob('lib/python*/site-packages'))
    shutil.copy(str(ROOT/'.ci'/'torchvision_cpu.py'), str(site))
    (site/'torchvision_cpu.pth').write_text('import torchvision_cpu\n')
    subprocess.run([str(PYTHON), '-c', 'import matplotlib.font_manager'],
                   stderr=subprocess.DEVNULL)   # its list of fonts, made once
    (VENV/'made-from').write_text(key(VENV))

if __name__ == '__main__': main()
