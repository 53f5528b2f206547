/**
 * The only file that imports generated types of google.api, google.rpc and buf.validate: to copy this folder elsewhere, change
 * the import paths here.
 */
export { ViolationsSchema } from "@shop/gen/buf/validate/validate_pb";
export { http } from "@shop/gen/google/api/annotations_pb";
export { type HttpRule, HttpRuleSchema } from "@shop/gen/google/api/http_pb";
export {
  BadRequestSchema,
  file_google_rpc_error_details,
  RetryInfoSchema,
} from "@shop/gen/google/rpc/error_details_pb";
