# The one image of all actions: `docker build -t flint-ml-actions .`
# The same with moja global's C++ engine, for run-gcbm-flint (about 6 GB are pulled once, a part is kept):
# `docker build --target flint --build-arg GCBM_IMAGE=ghcr.io/moja-global/flint.gcbm:master -t flint-ml-actions-flint .`
# Plain instructions only (no --mount, no heredoc), so that every builder takes it: BuildKit, the
# classic one, and act's. Layers go from what changes rarely to what changes with every commit.

# An image that has moja.cli. The default has none: then the target flint is the common image and no more, so that
# the classic builder, which builds every stage on its way, pulls nothing that it does not need.
ARG GCBM_IMAGE=debian:trixie-slim

FROM debian:trixie-slim AS dependencies
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends binutils ca-certificates python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
COPY requirements/uv.txt /build/
RUN python3 -m venv /build/tools \
 && /build/tools/bin/pip install --no-cache-dir --quiet --require-hashes -r /build/uv.txt
COPY requirements/build.txt requirements/image.txt /build/
ENV UV_NO_CACHE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN /build/tools/bin/uv venv --quiet --python /usr/bin/python3 /opt/venv \
 && /build/tools/bin/uv pip install --quiet --python /opt/venv --require-hashes \
      --build-constraint /build/build.txt -r /build/image.txt
# What no action uses at run time: tests, headers, sources of compiled modules, debug symbols, Arrow's
# RPC server, the schemas for a lenient check of manifests (ours is strict), and the descriptions of AWS services other
# than storage and sign-in.
# Byte code is compiled once here; without it every start would take two to four times as long. Sets are written in the
# order of their hashes, so the seed is fixed, and one file's code depends on what its process compiled before, so it
# gets a process of its own: two builds of a day hold the same files (.ci/lib/reproducible).
RUN cd /opt/venv/lib/python3.13/site-packages \
 && find . -depth -type d \( -name tests -o -name test \) -exec rm -rf {} + \
 && find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.h' -o -name '*.hpp' \
      -o -name '*.c' -o -name '*.cc' -o -name '*.cpp' -o -name '*.a' \) -delete \
 && rm -rf pyarrow/include pyarrow/src pyarrow/*flight* numpy/_core/include \
      matplotlib/mpl-data/sample_data setuptools setuptools-*.dist-info _distutils_hack distutils-precedence.pth \
      kubernetes_validate/kubernetes-json-schema/*-local \
 && find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name 'sso*' ! -name signin -exec rm -rf {} + \
 && find . -name '*.so*' -type f ! -path '*.libs/*' -exec strip --strip-unneeded {} + \
 && PYTHONHASHSEED=0 /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash . \
 && PYTHONHASHSEED=0 /opt/venv/bin/python -m compileall -q -f --invalidation-mode unchecked-hash mlflow/utils/search_utils.py \
 && rm -f /opt/venv/bin/activate* /opt/venv/bin/*.bat

FROM dependencies AS package
COPY pyproject.toml README.md LICENSE /build/source/
COPY scripts /build/source/scripts
RUN /build/tools/bin/uv pip install --quiet --python /opt/venv --no-deps --prefix /build/package \
      --build-constraint /build/build.txt /build/source \
 # uv notes there when the sources were copied.
 && find /build/package -name uv_cache.json -delete && sed -i '/\/uv_cache\.json,/d' /build/package/lib/*/site-packages/*/RECORD \
 && PYTHONHASHSEED=0 /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /build/package/lib

FROM debian:trixie-slim AS common
# git needs perl only for commands that no action uses (send-email, svn, add -i before 2.40).
RUN printf 'path-exclude /usr/share/perl/*\npath-exclude /usr/lib/*-linux-gnu/perl/*\npath-exclude /usr/lib/*-linux-gnu/libperl.so*\npath-exclude /usr/share/doc/*\npath-include /usr/share/doc/*/copyright\npath-exclude /usr/share/gitweb/*\n' \
      >/etc/dpkg/dpkg.cfg.d/flint-ml \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates git openssh-client python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log /var/log/alternatives.log \
      /var/cache/ldconfig/aux-cache \
 # The workspace belongs to the runner's user, the container is root: git and dvc refuse that otherwise.
 && git config --system safe.directory '*'
COPY --from=dependencies /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 \
    MPLBACKEND=Agg MPLCONFIGDIR=/opt/flint-ml/matplotlib \
    DVC_NO_ANALYTICS=1 DO_NOT_TRACK=1 MLFLOW_DISABLE_TELEMETRY=true GIT_TERMINAL_PROMPT=0
# The list of fonts is made once here; dvc asks nobody whether there is a newer dvc.
RUN mkdir -p /opt/flint-ml/matplotlib && PYTHONHASHSEED=0 python -c 'import matplotlib.font_manager' \
 && dvc config --system core.check_update false
COPY --from=package /build/package /opt/venv
COPY entrypoint/entrypoint.py /opt/flint-ml/entrypoint.py
WORKDIR /github/workspace
# -I: nothing in the workspace or in the job's PYTHON* variables can stand in for a module of the image.
ENTRYPOINT ["/opt/venv/bin/python", "-I", "/opt/flint-ml/entrypoint.py"]

# moja.cli, its plug-ins beside it, and under lib/ what they link to, except the C and C++ runtimes, which the
# common image has newer. Only run_flint sets the library path, and only for moja.cli.
FROM ${GCBM_IMAGE} AS gcbm
ARG GCBM_IMAGE
USER root
RUN mkdir -p /gcbm/lib /gcbm/share \
 && binary=$(command -v moja.cli || find /opt/gcbm /usr/local/bin -name moja.cli 2>/dev/null | head -n 1) \
 && if [ -z "$binary" ]; then \
      echo "no moja.cli in $GCBM_IMAGE; give --build-arg GCBM_IMAGE=<an image that has it>" >&2; \
      [ "$GCBM_IMAGE" = debian:trixie-slim ] && exit 0 || exit 1; \
    fi \
 && home=$(dirname "$(readlink -f "$binary")") \
 && cp -L "$home/moja.cli" "$home"/libmoja*.so* /gcbm/ \
 && { LD_LIBRARY_PATH="$home:$LD_LIBRARY_PATH" ldd /gcbm/moja.cli /gcbm/libmoja*.so* || true; } >/tmp/linked 2>&1 \
 && if grep 'not found' /tmp/linked; then exit 1; fi \
 && sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' /tmp/linked | sort -u \
    | grep -Ev '/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|util|nsl|stdc\+\+|gcc_s))\.so|/libmoja' \
    | while read -r library; do cp -L "$library" /gcbm/lib/; done \
 && for data in gdal proj; do \
      for place in /usr/local/share /usr/share; do \
        if [ -d "$place/$data" ] && [ ! -d "/gcbm/share/$data" ]; then cp -rL "$place/$data" /gcbm/share/; fi; \
      done; \
    done \
 && if command -v strip >/dev/null; then find /gcbm -maxdepth 2 -name '*.so*' -exec strip --strip-debug {} +; fi

FROM common AS flint
COPY --from=gcbm /gcbm /opt/gcbm
ENV PATH=/opt/gcbm:$PATH

# The last stage is what a build without a target gives.
FROM common
