// A program that uses device keys, controlled by the test that forked it: {id, method, params} in,
// {id, result} or {id, error} out. The method 'open' takes the store's options; with `answers`,
// each question for a PIN gets the next of them, or the one of its token, and `questions` returns
// the questions.
const { DeviceKeyStore } = require('node-device-key');

let store;
const questions = [];

function open({ options, answers }) {
  const pkcs11 = { ...options.pkcs11 };
  if (answers) {
    pkcs11.pin = async (question) => {
      questions.push(question);
      if (Array.isArray(answers)) return answers.shift();
      return answers[question.label] ?? new Promise(() => {});
    };
  }
  store = DeviceKeyStore.open({ ...options, pkcs11 });
}

async function run(method, params) {
  if (method === 'open') return open(params);
  if (method === 'questions') return questions;
  if (method === 'exit') return process.disconnect();
  if (method === 'together')
    return Promise.all(params.map((call) => run(call.method, call.params)));
  return store[method](params);
}

process.on('message', ({ id, method, params }) => {
  run(method, params)
    .then(
      (result) => ({ result }),
      ({ code, message, platformStatus }) => ({ error: { code, message, platformStatus } }),
    )
    .then((outcome) => process.connected && process.send({ id, ...outcome }));
});
