# Candor in a container. The same steps as the Makefile: torch first, then everything else with its hash checked.
#
#   docker build --tag candor .
#   docker build --tag candor:gpu --build-arg TORCH= --build-arg ONNXRUNTIME='onnxruntime-gpu[cuda,cudnn]==1.31.1' .
#
# TORCH       what to install as torch. Serving does not import it (only training does), so it may be empty, which saves
#             its whole size; a CPU build may be named by its wheel's address.
# ONNXRUNTIME what replaces the locked CPU build of ONNX Runtime; empty keeps that one. The extras bring the CUDA
#             libraries, so the base image needs none.

FROM python:3.11-slim AS build
ARG TORCH=torch==2.13.0
ARG ONNXRUNTIME=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONSAFEPATH=1
RUN python -m venv /opt/candor/venv
ENV PATH=/opt/candor/venv/bin:$PATH

# what changes seldom, in layers of its own
RUN if [ -n "$TORCH" ]; then pip install "$TORCH"; fi
COPY requirements.lock /opt/candor/
RUN pip install --no-deps --require-hashes --requirement /opt/candor/requirements.lock
RUN if [ -n "$ONNXRUNTIME" ]; then pip uninstall --yes onnxruntime && pip install "$ONNXRUNTIME"; fi

COPY . /opt/candor/source
RUN pip install --no-deps --no-build-isolation --editable /opt/candor/source \
 && python -m compileall -q /opt/candor/source

FROM python:3.11-slim
LABEL org.opencontainers.image.title="Candor" \
      org.opencontainers.image.description="AI diagnostic imaging for PACS. Research software, not a medical device." \
      org.opencontainers.image.licenses="Apache-2.0"

COPY --from=build /opt/candor /opt/candor
# the CUDA libraries that come as wheels, if any, where the loader finds them
RUN find /opt/candor/venv -type d -path '*/nvidia/*/lib' > /etc/ld.so.conf.d/candor.conf && ldconfig \
 && useradd --system --uid 10001 --home-dir /var/lib/candor --shell /usr/sbin/nologin candor \
 && install --directory --mode=0700 --owner=candor --group=candor /var/lib/candor /var/lib/candor-key

# data and key in places of their own: a copy of the data volume does not open itself
ENV PATH=/opt/candor/venv/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    CANDOR_DATA=/var/lib/candor/data \
    CANDOR_KEY_FILE=/var/lib/candor-key/site.key \
    CANDOR_HOST=0.0.0.0
USER candor
WORKDIR /var/lib/candor
VOLUME ["/var/lib/candor", "/var/lib/candor-key"]

# DICOM, DICOM over TLS, and the web process, which listens on the container's own loopback until there are accounts
EXPOSE 11112 2762 8443
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=6s --start-period=2m --retries=4 CMD ["python", "-c", \
 "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('CANDOR_WEB_PORT', '8443') + '/readyz', timeout=5)"]
ENTRYPOINT ["candor"]
CMD ["serve"]
