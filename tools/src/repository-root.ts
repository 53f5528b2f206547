import { resolve } from "node:path";

/** The folder that holds package.json of the whole repository. */
export const repositoryRoot: string = resolve(import.meta.dirname, "../..");
