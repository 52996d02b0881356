// What the addons of all systems may import and export.
import { createRequire } from 'node:module';

const { symbols: nodeApi } = createRequire(import.meta.url)('node-api-headers');

// Of Node-API's version 8, which Node.js 12.22 and Electron 15 have.
const allowedNodeApi = new Set([
  ...nodeApi.v8.js_native_api_symbols,
  ...nodeApi.v8.node_api_symbols,
]);

/** Other exports could conflict with those of the host. */
export function wrongExports(names) {
  const entries = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
  return [
    ...entries.filter((name) => !names.includes(name)).map((name) => `does not export ${name}`),
    ...names.filter((name) => !entries.includes(name)).map((name) => `exports ${name}`),
  ];
}

/**
 * Only Node-API is stable across versions of Node.js and Electron, and Node.js exports an OpenSSL of
 * its own, which an import would bind to.
 */
export function wrongImports(names) {
  const complaints = [];
  for (const name of names) {
    if (/^_ZN?K?[rRVO]*2v8|^\?.*@v8@@|^uv_/.test(name)) complaints.push(`imports ${name}`);
    if (/^(EVP|OPENSSL|OSSL|CRYPTO|EC|ECDSA|BN|ERR|RAND|X509|ASN1|d2i|i2d)_/.test(name)) {
      complaints.push(`imports ${name} of OpenSSL`);
    }
    if (/^(napi|node_api)_/.test(name) && !allowedNodeApi.has(name)) {
      complaints.push(`imports ${name}, which Node-API 8 does not have`);
    }
    // Electron's memory cage does not allow them.
    if (/create_external_(array)?buffer/.test(name)) complaints.push(`imports ${name}`);
  }
  if (!names.some((name) => name.startsWith('napi_'))) complaints.push('uses no Node-API');
  return complaints;
}
