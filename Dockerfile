# docker build -t ipin-proxy . && docker run -p 3000:3000 -v ipin-proxy:/data ipin-proxy
# Works on python:3.13-alpine, too: docker build --build-arg BASE=python:3.13-alpine .
ARG BASE=python:3.13-slim
FROM ${BASE}

WORKDIR /app
# .dockerignore lets through server.py, ipin_proxy and static. They belong to root, so the server cannot change itself;
# compiled here, because it cannot write beside them later.
COPY . .
RUN python -m compileall -q . && mkdir /data && chown 10001:10001 /data

# A number, not a name: no entry in /etc/passwd is needed, and Kubernetes can see that it is not root.
USER 10001:10001

# The folder of server.py cannot be written, so the database goes to the first of these that can. A database mounted as
# the file /app/ipin-proxy.db is used where it is; its backups and its ledger are in /data.
ENV DB_STORAGE_PATHS=/data \
    PORT=3000 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

VOLUME /data
EXPOSE 3000

# No shell and no curl; straight to the port, whatever http_proxy says.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s --retries=3 CMD ["python", "-c", "\
import http.client, os, sys; \
host = os.environ.get('HOST') or '0.0.0.0'; \
c = http.client.HTTPConnection({'0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host), int(os.environ.get('PORT') or 3000), timeout=4); \
c.request('GET', '/health'); \
sys.exit(c.getresponse().status != 200)"]

# Exec form: SIGTERM reaches Python, which lets running calls finish (DRAIN_SECONDS).
STOPSIGNAL SIGTERM
CMD ["python", "server.py"]
