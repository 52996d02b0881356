export * from './dpop.js';
