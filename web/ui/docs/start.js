'use strict';
// Only our own document, and no validator of somebody else's.
SwaggerUIBundle({url: '/openapi.json', dom_id: '#docs', deepLinking: true, validatorUrl: null});
