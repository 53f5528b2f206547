export { alerts } from "./alerts.ts";
export { objectives } from "./objectives.ts";
export { prometheusRules } from "./prometheus-rules.ts";
