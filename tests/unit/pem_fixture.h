/* Certificates and keys for tests of what reads them; they protect nothing. */
#ifndef SB_TESTS_PEM_FIXTURE_H
#define SB_TESTS_PEM_FIXTURE_H

/* For "test", by itself, P-256, until 2126. */
#define PEM_CERT                                                                                             \
  "-----BEGIN CERTIFICATE-----\n"                                                                            \
  "MIIBdTCCARugAwIBAgIUI1uKTrf/zbHSst0yezISE80p0Z0wCgYIKoZIzj0EAwIw\n"                                       \
  "DzENMAsGA1UEAwwEdGVzdDAgFw0yNjEyMDExNDUzMjRaGA8yMTI2MTEwNzE0NTMy\n"                                       \
  "NFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMtx\n"                                       \
  "UVmT0Z49n4gWhiojyrwROx/QaWh4tLs1s9TiVzXZ3Tcu6ewGbxXhN3LZqRcMmz7m\n"                                       \
  "ynewSEl+JaWE8stomFWjUzBRMB0GA1UdDgQWBBSuWLCbpcwQHe11rFbU6IbBgdHX\n"                                       \
  "0zAfBgNVHSMEGDAWgBSuWLCbpcwQHe11rFbU6IbBgdHX0zAPBgNVHRMBAf8EBTAD\n"                                       \
  "AQH/MAoGCCqGSM49BAMCA0gAMEUCIDMT5PL9g9MIwySHxFFtkpZyyf5URUxi9+gJ\n"                                       \
  "oeI38/tzAiEA+YzSTiUVC5J/3B2DgVRMJXy635Oy2hJIqpjO8oK3Zig=\n"                                               \
  "-----END CERTIFICATE-----\n"

/* Its key, and the same one under the password "x". */
#define PEM_KEY                                                                                              \
  "-----BEGIN PRIVATE KEY-----\n"                                                                            \
  "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOoIIJBIz13D1/M1E\n"                                       \
  "k2sufbHz6JTKHxdAMDGEgCwMqN6hRANCAATLcVFZk9GePZ+IFoYqI8q8ETsf0Glo\n"                                       \
  "eLS7NbPU4lc12d03LunsBm8V4Tdy2akXDJs+5sp3sEhJfiWlhPLLaJhV\n"                                               \
  "-----END PRIVATE KEY-----\n"

#define PEM_KEY_ENCRYPTED                                                                                    \
  "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"                                                                  \
  "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgGelSp6/DNUwICA+gw\n"                                       \
  "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEL3gi5K+CCQ7QQH7bTQQWMMEgZBF\n"                                       \
  "nVmkXxI5ZyIIsGhAaim8GwHhd8W0eH+NMcXuo/z3uV9wUmPeXJAPUgEf0cnpGdQZ\n"                                       \
  "J6/nopfSTukjoTygv0GR7Kg9v64dwQNiRYQinRi9S8xxWaMWV9zFiun9QrjkbXYZ\n"                                       \
  "rQGunXvcTx0NqXHfMPPAhVqEb1PbG+Z4nR5DRCl0gC4EpbRFJfVzebqa0TIOHpE=\n"                                       \
  "-----END ENCRYPTED PRIVATE KEY-----\n"

/* Of no certificate here. */
#define PEM_KEY_OTHER                                                                                        \
  "-----BEGIN PRIVATE KEY-----\n"                                                                            \
  "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgDcg8ujkdZELvKU6F\n"                                       \
  "FM5Mtfp6vqqFd5HKeeIthhAjEXChRANCAARAAx9jmz4XtWpw3z7/AKEBHsSgkGm8\n"                                       \
  "o6xuw9JeiGYQV/WByAB0KeSxS0LkeUtFiaSwtuxT913fpzdyB7sFVtVV\n"                                               \
  "-----END PRIVATE KEY-----\n"

/* Of PEM_KEY, for one day in January 2020. */
#define PEM_CERT_EXPIRED                                                                                     \
  "-----BEGIN CERTIFICATE-----\n"                                                                            \
  "MIIBBDCBrAIBATAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDAR0ZXN0MB4XDTIwMDEw\n"                                       \
  "MTAwMDAwMFoXDTIwMDEwMjAwMDAwMFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqG\n"                                       \
  "SM49AgEGCCqGSM49AwEHA0IABMtxUVmT0Z49n4gWhiojyrwROx/QaWh4tLs1s9Ti\n"                                       \
  "VzXZ3Tcu6ewGbxXhN3LZqRcMmz7mynewSEl+JaWE8stomFUwCgYIKoZIzj0EAwID\n"                                       \
  "RwAwRAIgQ5Ipm4TE0xfWWDJyumhqyorTDuGTiBgCkg93I+53oFICICgXcco+oPZP\n"                                       \
  "a/wR3j4YQqAak1IxJbsWE8P0C2pizIy7\n"                                                                       \
  "-----END CERTIFICATE-----\n"

/* With an RSA key of 512 bits, and that key. */
#define PEM_CERT_WEAK                                                                                        \
  "-----BEGIN CERTIFICATE-----\n"                                                                            \
  "MIIBcTCCARugAwIBAgIURha9ds57KG9xFik+EssaFGeoN6swDQYJKoZIhvcNAQEL\n"                                       \
  "BQAwDDEKMAgGA1UEAwwBdzAgFw0yNjEyMDExNDUzMjVaGA8yMTI2MTEwNzE0NTMy\n"                                       \
  "NVowDDEKMAgGA1UEAwwBdzBcMA0GCSqGSIb3DQEBAQUAA0sAMEgCQQDIYzOJJ2M2\n"                                       \
  "CX/Cdpyu23EXucnN0koL2o2sXhaqhrgI8cACxagwW+m+Vv4GjUN8vDD9uIq3NwWO\n"                                       \
  "Jwub6k9wezSLAgMBAAGjUzBRMB0GA1UdDgQWBBTfiyiruJrCBlGHoI15x9JfnFMc\n"                                       \
  "NzAfBgNVHSMEGDAWgBTfiyiruJrCBlGHoI15x9JfnFMcNzAPBgNVHRMBAf8EBTAD\n"                                       \
  "AQH/MA0GCSqGSIb3DQEBCwUAA0EAFjCUcEnKCDYxuXroo6HsPXmy04vYJrowbqfY\n"                                       \
  "FSW7qa+U8Zkbi5/6JacJpvLjD5YOe/PFiPGRtHvM2VlX3dWKEg==\n"                                                   \
  "-----END CERTIFICATE-----\n"

#define PEM_KEY_WEAK                                                                                         \
  "-----BEGIN PRIVATE KEY-----\n"                                                                            \
  "MIIBVgIBADANBgkqhkiG9w0BAQEFAASCAUAwggE8AgEAAkEAyGMziSdjNgl/wnac\n"                                       \
  "rttxF7nJzdJKC9qNrF4Wqoa4CPHAAsWoMFvpvlb+Bo1DfLww/biKtzcFjicLm+pP\n"                                       \
  "cHs0iwIDAQABAkEAu5qEKSfC7lg+UCUT03CGlJvPnu39fNOER5deyQ+PRG7IJjmj\n"                                       \
  "EWkZz84aBxzEQxBpEnO6ZZvLb1vKaZEPMbIVgQIhAOQFhBoKsUy3GdP81ajtU6xe\n"                                       \
  "pgDsL8YFDPVyojn403QbAiEA4PmpDtxD8WPMlgOMEEFQvCbr5gfAkFl9cshASWTB\n"                                       \
  "6FECIQC4xGN7+qgaotAR//Fd9hl0NinL25cGnXcXuPENirxFewIgYRYciNcxUuiY\n"                                       \
  "j1x0g0dMigXZ42kRBro30uLsK0AaFiECIQCTVJ28tbx7Xq11KqJYigq1VSmLbuu1\n"                                       \
  "w+IETwJjLXLT3A==\n"                                                                                       \
  "-----END PRIVATE KEY-----\n"

#endif
