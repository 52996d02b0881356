// The page's script. It has the two functions of preload.ts, and no access to Node.js.
const show = (id, text) => {
  document.getElementById(id).textContent = text;
};

window.remoteControl.protection().then(
  ({ hardware, reason }) =>
    show('protection', hardware ? 'This machine protects keys in hardware.' : reason),
  (error) => show('protection', error.message),
);

document.getElementById('account').addEventListener('submit', async (event) => {
  event.preventDefault();
  const account = Object.fromEntries(new FormData(event.target));
  const connection = await window.remoteControl.connect(account);
  show('connection', connection.ok ? 'Connected.' : connection.message);
});
