import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type BuildOptions, build } from "esbuild";

/** Bundles a script for a browser. */
export async function bundle(from: Pick<BuildOptions, "entryPoints" | "stdin">): Promise<string> {
  const { outputFiles } = await build({ ...from, bundle: true, write: false, platform: "browser", format: "esm" });
  return outputFiles![0]!.text;
}

/** Serves one page with the file as its script. */
export async function servePage(port: number, scriptFile: string): Promise<Server> {
  const script = await bundle({ entryPoints: [scriptFile] });
  const server = createServer(({ url }, response) => {
    const isScript = url === "/script.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(
      isScript ? script : '<!doctype html><title>Shop</title><script type="module" src="script.js"></script>',
    );
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}
