// Whoever is answered an access token (RFC 6749, 5.1) is signed in on this page, until it is closed.
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
  // It would ask a server on the internet.
  validatorUrl: null,
  responseInterceptor: signIn,
});
