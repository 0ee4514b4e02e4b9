"""Run by the interpreter of an environment that holds the wheel and nothing of this checkout: is what a user gets
complete?"""
import importlib, os, pkgutil, sys, tempfile, time

LIGHT = ['schema', 'metrics', 'profile', 'images', 'simulate', 'sources']

start = time.perf_counter()
import galaxy_nbdev
took = time.perf_counter()-start
if sys.prefix not in galaxy_nbdev.__file__: sys.exit(f'{galaxy_nbdev.__file__} is not the installed package')
if took > .5: sys.exit(f'import galaxy_nbdev takes {took:.2f} s, more than 0.5')

for name in LIGHT: importlib.import_module(f'galaxy_nbdev.{name}')
if 'torch' in sys.modules: sys.exit(f'one of {", ".join(LIGHT)} imports torch')

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
import torchvision_cpu      # lends a torchvision built for CUDA to a CPU build of torch; no part of the package
for m in pkgutil.iter_modules(galaxy_nbdev.__path__): importlib.import_module(f'galaxy_nbdev.{m.name}')

from galaxy_nbdev.cnn import galaxy_cnn
from galaxy_nbdev.dataloaders import GalaxyDataLoaders
from galaxy_nbdev.learner import galaxy_learner
from galaxy_nbdev.schema import CLASSES
from galaxy_nbdev.simulate import simulate_survey
from galaxy_nbdev.sources import catalogue
with tempfile.TemporaryDirectory() as home:
    os.environ['GALAXY_HOME'] = home
    df = catalogue(simulate_survey(8, 0, f'{home}/survey', progress=False))
    learn = galaxy_learner(GalaxyDataLoaders.from_catalogue(df, size=64, bs=4), galaxy_cnn)
    fractions = learn.predict(df.path[0])[-1]
fine = fractions.shape == (len(CLASSES),) and ((fractions >= 0) & (fractions <= 1)).all()
if not fine: sys.exit(f'a prediction is not {len(CLASSES)} fractions: {fractions}')
