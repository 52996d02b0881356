/**
 * Exactly the four functions of desktop apps' device-key module, for loaders that check what a module
 * exports. `node-device-key/remote-control` has the options as well.
 */
export {
  createDeviceKey,
  deleteDeviceKey,
  getDeviceKeyPublic,
  signDeviceKey,
} from '../remote-control';
