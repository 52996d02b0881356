/**
 * Exactly the four functions of desktop apps' device-key module, for loaders that check a module's
 * exports. `node-device-key/remote-control` has the options as well.
 */
export {
  createDeviceKey,
  deleteDeviceKey,
  getDeviceKeyPublic,
  signDeviceKey,
} from '../remote-control';
