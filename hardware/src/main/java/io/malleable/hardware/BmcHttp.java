package io.malleable.hardware;

import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.SecureRandom;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;
import org.jspecify.annotations.Nullable;

/**
 * The HTTP clients that talk to BMCs: one that checks certificates and one that does not, each made
 * when it is first needed, because a client owns a thread. Safe for use by several threads.
 */
final class BmcHttp {
  private static final Duration CONNECT_LIMIT = Duration.ofSeconds(10);

  private final @Nullable Path authorities;
  private @Nullable HttpClient checking;
  private @Nullable HttpClient trusting;

  BmcHttp(@Nullable Path authorities) {
    this.authorities = authorities;
  }

  synchronized HttpClient client(BmcAddress.Redfish address) throws IOException {
    if (address.insecure()) {
      if (trusting == null) {
        trusting = build(new TrustManager[] {new TrustsEverybody()});
      }
      return trusting;
    }
    if (checking == null) {
      checking = build(authorities == null ? null : trustManagers(authorities));
    }
    return checking;
  }

  private static HttpClient build(TrustManager @Nullable [] trust) throws IOException {
    try {
      SSLContext tls = SSLContext.getInstance("TLS");
      tls.init(null, trust, new SecureRandom());
      return HttpClient.newBuilder()
          .sslContext(tls)
          // What BMCs speak; and a redirect could lead the account to somebody else.
          .version(HttpClient.Version.HTTP_1_1)
          .followRedirects(HttpClient.Redirect.NEVER)
          .connectTimeout(CONNECT_LIMIT)
          .build();
    } catch (GeneralSecurityException e) {
      throw new IOException("no TLS in this Java runtime", e);
    }
  }

  private static TrustManager[] trustManagers(Path authorities) throws IOException {
    try (InputStream pem = Files.newInputStream(authorities)) {
      KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
      store.load(null, null);
      int count = 0;
      for (Certificate each : CertificateFactory.getInstance("X.509").generateCertificates(pem)) {
        store.setCertificateEntry("authority-" + count++, each);
      }
      if (count == 0) {
        throw new GeneralSecurityException("it holds no certificate");
      }
      TrustManagerFactory factory =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      factory.init(store);
      return factory.getTrustManagers();
    } catch (IOException | GeneralSecurityException e) {
      throw new PowerException(
          PowerException.Kind.CONFIGURATION,
          "cannot use the authorities of BMC certificates in "
              + authorities
              + ": "
              + e.getMessage(),
          "give a PEM file with at least one certificate",
          e);
    }
  }

  /**
   * For addresses that ask for it, mostly BMCs with the certificate of their factory. An extended
   * manager is also asked about host names, so it skips that check too.
   */
  private static final class TrustsEverybody extends X509ExtendedTrustManager {
    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type) {}

    @Override
    public X509Certificate[] getAcceptedIssuers() {
      return new X509Certificate[0];
    }
  }
}
