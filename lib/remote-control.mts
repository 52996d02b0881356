export * from './remote-control.js';
