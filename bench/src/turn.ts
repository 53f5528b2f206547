import type { ToolLoad, ToolResult } from "./load-tools.ts";
import { processorTimeOfAllMs } from "./processor-time.ts";

/**
 * Runs a load tool against a server; also returns the processor time per answer of its process and workers, in
 * microseconds.
 */
export async function takeTurn<Result extends ToolResult>(
  { url, pid }: { readonly url: string; readonly pid: number },
  tool: (load: ToolLoad) => Promise<Result>,
  load: Omit<ToolLoad, "url">,
): Promise<Result & { readonly cpuPerCallUs: number }> {
  const before = processorTimeOfAllMs(pid);
  const result = await tool({ url, ...load });
  const spentMs = processorTimeOfAllMs(pid) - before;
  return { ...result, cpuPerCallUs: (spentMs * 1000) / (result.perSecond * load.seconds) };
}
