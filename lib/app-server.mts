export * from './app-server.js';
