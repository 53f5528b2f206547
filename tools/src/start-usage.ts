/** The usage of `npm start`. */
export const startUsage = "npm start -- [--split] [--watch] [--verbose] [--traces]";
