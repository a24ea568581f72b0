import { start } from "./shell/shell.js";

start();
