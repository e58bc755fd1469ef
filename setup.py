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
# What all kernels need of Cython, once: it would be most of the C of each of them.
SHARED = "occulta._cyutility"
SHARED_SOURCE = f"{C_FOLDER}/occulta/_cyutility.c"
NO_TOOLCHAIN = "kernels: no working C compiler with Python headers, using plain Python"


def kernel_extensions() -> list[Extension]:
    """An optional extension for each kernel and one for what they share; or none, if so asked."""
    if os.environ.get("OCCULTA_NO_COMPILER", "0") not in ("", "0"):
        return []
    sources = {
        ".".join(path.with_suffix("").parts): path.as_posix()
        for path in sorted(Path("occulta").rglob("*_kernel.py"))
    }
    return [
        Extension(name, [source], extra_compile_args=COMPILE_ARGS, optional=True)
        for name, source in {SHARED: SHARED_SOURCE, **sources}.items()
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
        self._translate_shared()
        kernels = {each.name: each for each in self.extensions if each.name != SHARED}
        cores = os.cpu_count() or 1
        for found in cythonize(
            list(kernels.values()), build_dir=C_FOLDER, nthreads=cores if cores > 1 else 0,
            shared_utility_qualified_name=SHARED,
        ):
            kernels[found.name].sources = found.sources
        return True

    def _translate_shared(self) -> None:
        from Cython.Build.SharedModule import generate_shared_module
        from Cython.Compiler.Options import CompilationOptions, default_options

        Path(SHARED_SOURCE).parent.mkdir(parents=True, exist_ok=True)
        generate_shared_module(
            CompilationOptions(
                default_options, shared_c_file_path=SHARED_SOURCE, module_name=SHARED
            )
        )


setup(ext_modules=kernel_extensions(), cmdclass={"build_ext": BuildKernels})
