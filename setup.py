"""Build the compiled kernels where that is possible; install without them where it is not."""

import os
import sysconfig
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

# The setuptools import above provides this package on Python 3.12 and later.
from distutils.ccompiler import new_compiler  # isort: skip
from distutils.sysconfig import customize_compiler  # isort: skip

# No contraction, no fast math, no -march: the same bits on every machine. The third option stands
# last because CFLAGS from outside come before these.
COMPILE_ARGS = ["-O3", "-ffp-contract=off", "-fno-fast-math"]
C_FOLDER = "build/cython"
NO_TOOLCHAIN = "kernels: no working C compiler with Python headers, using plain Python"


def kernel_extensions() -> list[Extension]:
    """One optional extension for each kernel; none where that was asked for."""
    if os.environ.get("OCCULTA_NO_COMPILER", "0") not in ("", "0"):
        return []
    return [
        Extension(
            ".".join(path.with_suffix("").parts),
            [path.as_posix()],
            extra_compile_args=COMPILE_ARGS,
            optional=True,
        )
        for path in sorted(Path("occulta").rglob("*_kernel.py"))
    ]


def toolchain_works() -> bool:
    """Compile and link a module that does nothing, as the only honest test for a compiler."""
    compiler = new_compiler()
    customize_compiler(compiler)
    include = [sysconfig.get_path("include"), sysconfig.get_path("platinclude")]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <Python.h>\nvoid *probe(void) { return Py_None; }\n")
        try:
            objects = compiler.compile([str(source)], output_dir=folder, include_dirs=include)
            compiler.link_shared_object(objects, str(Path(folder, "probe.so")))
        except (BaseError, CCompilerError, OSError) as error:
            print(f"probe: {error}")
            return False
    return True


class BuildKernels(build_ext):
    """Translate the kernels to C and compile them, or say why not and carry on."""

    def initialize_options(self) -> None:
        """Use every core: under emulation the kernels are most of the time that an image takes."""
        super().initialize_options()
        self.parallel = os.cpu_count()

    def run(self) -> None:
        """Refuse early without a toolchain, so that nothing is half built."""
        if self.extensions and not (self._translate() and toolchain_works()):
            print(NO_TOOLCHAIN)
            self.extensions = []
        super().run()

    def _translate(self) -> bool:
        try:
            from Cython.Build import cythonize
        except ImportError:
            return False
        cores = os.cpu_count() or 1
        found = cythonize(self.extensions, build_dir=C_FOLDER, nthreads=cores if cores > 1 else 0)
        translated = {extension.name: extension.sources for extension in found}
        for extension in self.extensions:
            extension.sources = translated[extension.name]
        return True


setup(ext_modules=kernel_extensions(), cmdclass={"build_ext": BuildKernels})
