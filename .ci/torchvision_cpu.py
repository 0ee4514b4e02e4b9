"""Development environments only: lets a torchvision built for CUDA be imported beside a CPU build of torch.

Its compiled operators do not load there, and importing torchvision stops at `torchvision::nms does not exist`.
This hook waits for the module that needs the two operators and declares their schemas first. It does nothing where
the operators loaded, and imports nothing when Python starts.
"""
import importlib.abc, importlib.machinery, sys

NEEDS = 'torchvision._meta_registrations'
SCHEMAS = ('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
           'qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')

class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != NEEDS: return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None: spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec

class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module):
        from torchvision.extension import _has_ops
        if not _has_ops():
            from torch.library import Library
            module._schemas = Library('torchvision', 'FRAGMENT')    # a Library undoes its schemas when collected
            for schema in SCHEMAS: module._schemas.define(schema)
        super().exec_module(module)

sys.meta_path.insert(0, _Finder())
