package io.malleable.lab;

import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

/**
 * A key and a certificate that nobody vouches for, as a BMC has from its factory. The JDK's own
 * {@code keytool} makes it; the directory holds the key and should be private.
 */
final class SelfSignedCertificate {
  private static final String ALIAS = "bmc";

  /** Not a secret: the key is guarded by the mode of its file, and worth nothing outside a lab. */
  private static final String STORE_PASSWORD = "bmc-lab";

  private final KeyStore store;

  private SelfSignedCertificate(KeyStore store) {
    this.store = store;
  }

  /**
   * Makes one for 127.0.0.1 and {@code address}, or takes what was made in this directory before.
   */
  static SelfSignedCertificate in(Path directory, String address) throws IOException {
    Files.createDirectories(directory);
    Path file = directory.resolve("bmc.p12");
    if (!Files.exists(file)) {
      generate(file, address);
    }
    try (InputStream stream = Files.newInputStream(file)) {
      KeyStore store = KeyStore.getInstance("PKCS12");
      store.load(stream, STORE_PASSWORD.toCharArray());
      return new SelfSignedCertificate(store);
    } catch (GeneralSecurityException e) {
      throw new IOException("cannot read " + file, e);
    }
  }

  private static void generate(Path file, String address) throws IOException {
    Path keytool = Path.of(System.getProperty("java.home"), "bin", "keytool");
    List<String> command =
        List.of(
            keytool.toString(),
            "-genkeypair",
            "-alias",
            ALIAS,
            "-keyalg",
            "EC",
            "-groupname",
            "secp256r1",
            "-validity",
            "3650",
            "-dname",
            "CN=M2 lab BMC",
            "-ext",
            "san=ip:127.0.0.1,ip:" + address,
            "-storetype",
            "PKCS12",
            "-storepass",
            STORE_PASSWORD,
            "-keystore",
            file.toString());
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    try (InputStream output = process.getInputStream()) {
      String said = new String(output.readNBytes(4096), java.nio.charset.StandardCharsets.UTF_8);
      if (!process.waitFor(60, TimeUnit.SECONDS) || process.exitValue() != 0) {
        throw new IOException("keytool made no certificate: " + said.strip());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while keytool made a certificate");
    } finally {
      process.destroyForcibly();
    }
  }

  SSLContext serverContext() throws IOException {
    try {
      KeyManagerFactory keys =
          KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
      keys.init(store, STORE_PASSWORD.toCharArray());
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(keys.getKeyManagers(), null, null);
      return context;
    } catch (GeneralSecurityException e) {
      throw new IOException("no TLS with this certificate", e);
    }
  }

  /** The certificate for those who shall trust it. */
  String pem() throws IOException {
    try {
      byte[] encoded = store.getCertificate(ALIAS).getEncoded();
      return "-----BEGIN CERTIFICATE-----\n"
          + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(encoded)
          + "\n-----END CERTIFICATE-----\n";
    } catch (GeneralSecurityException e) {
      throw new IOException("the certificate cannot be encoded", e);
    }
  }
}
