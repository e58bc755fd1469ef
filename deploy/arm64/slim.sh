#!/bin/sh
# Leaves in the environment $1 what flies, and puts occulta/ and onboard/ beside it.
set -eu
packages=$(echo "$1"/lib/python3.*/site-packages)

# Tools of the build, and the suites, stubs and sources that packages bring along.
rm -rf "$packages"/pip "$packages"/pip-* "$packages"/setuptools "$packages"/setuptools-* \
    "$packages"/pkg_resources "$packages"/_distutils_hack "$packages"/distutils-precedence.pth \
    "$packages"/Crypto/SelfTest "$packages"/zmq/tests "$packages"/zmq/green \
    "$packages"/pyximport "$1"/bin/pip* "$1"/bin/cy* "$1"/bin/[Aa]ctivate*
# Plain kernels `import cython`, which is this one module; the compiler itself stays behind.
find "$packages"/Cython -mindepth 1 -maxdepth 1 ! -name Shadow.py ! -name __init__.py \
    -exec rm -rf {} +
find "$packages" \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' \
    -o -name '*.h' \) -delete

mkdir -p "$1"/flight
cp -R occulta onboard "$1"/flight/
find "$1"/flight -name '*.c' -delete
# The command under its own name, for whoever runs it beside the daemon: healthy, selftest, keygen.
cat > "$1"/bin/occulta-onboard <<'END'
#!/opt/occulta/bin/python
import sys

from onboard.__main__ import main

sys.exit(main())
END
chmod 755 "$1"/bin/occulta-onboard
# The root is read-only there, so byte code is made here; sources stay for tracebacks.
find "$1" -name __pycache__ -exec rm -rf {} +
"$1"/bin/python -m compileall -q "$1"/lib "$1"/flight
