// pm2 start deploy/ecosystem.config.js && pm2 logs ipin-proxy    the first start prints the admin password, once
const path = require("path");

module.exports = {
  apps: [
    {
      name: "ipin-proxy",
      cwd: path.resolve(__dirname, ".."),
      script: "server.py",
      interpreter: "python3",
      // One process owns the database; a second one would refuse to start.
      exec_mode: "fork",
      instances: 1,
      autorestart: true,
      exp_backoff_restart_delay: 200,
      // pm2 stops with SIGINT; more than DRAIN_SECONDS, so that running calls can finish.
      kill_timeout: 40000,
      env: { PYTHONUNBUFFERED: "1" },
    },
  ],
};
