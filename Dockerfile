# The gateway with the app of this folder, for compose.yaml and for any other place that runs images.
# Yours: replace what is copied to /app, or mount it there.

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY baas baas
COPY sdk/baas_sdkgen sdk/baas_sdkgen
COPY admin/dist admin/dist
RUN pip wheel --no-cache-dir --wheel-dir /wheels '.[sample]'

FROM python:3.13-slim
RUN useradd --uid 10001 --home-dir /app --shell /usr/sbin/nologin baas \
    && mkdir -p /app/data && chown baas /app/data
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels 'baas[sample]'
WORKDIR /app
COPY baas.yaml ./
COPY rules rules
COPY functions functions
COPY public public
USER 10001
ENV PYTHONUNBUFFERED=1 \
    BAAS_SERVER__HOST=0.0.0.0 \
    BAAS_SERVER__PORT=8000
EXPOSE 8000
VOLUME /app/data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=6 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["baas", "serve"]
