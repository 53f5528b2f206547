// Signs the page in with the access token that a call returns (RFC 6749, 5.1), until the page is closed.
const signIn = (response) => {
  const { access_token: token, token_type: type } = response.body ?? response.obj ?? {};
  if (token !== undefined && type === "Bearer") ui.preauthorizeApiKey("accessToken", token);
  return response;
};

const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  // The validator is a server on the internet.
  validatorUrl: null,
  responseInterceptor: signIn,
});
