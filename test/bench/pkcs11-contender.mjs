// tpm2-pkcs11 through pkcs11js as a contender: node pkcs11-contender.mjs PKCS11JS MODULE PIN
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';

import { serve } from './worker.mjs';

const [library, module, pin] = process.argv.slice(2);
const pkcs11js = createRequire(import.meta.url)(library);
const pkcs11 = new pkcs11js.PKCS11();
pkcs11.load(module);
pkcs11.C_Initialize();
const slot = pkcs11.C_GetSlotList(true)[0];
const session = pkcs11.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
pkcs11.C_Login(session, pkcs11js.CKU_USER, pin);
pkcs11.C_FindObjectsInit(session, [{ type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_PRIVATE_KEY }]);
const key = pkcs11.C_FindObjects(session, 1)[0];
pkcs11.C_FindObjectsFinal(session);
const digest = createHash('sha256').update('message').digest();

await serve({
  sign() {
    pkcs11.C_SignInit(session, { mechanism: pkcs11js.CKM_ECDSA }, key);
    pkcs11.C_Sign(session, digest, Buffer.alloc(64));
  },
});
