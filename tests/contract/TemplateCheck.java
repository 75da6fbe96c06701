import com.pixelmed.validate.DicomSRValidator;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Field;
import javax.xml.transform.Source;
import javax.xml.transform.Transformer;
import javax.xml.transform.URIResolver;

/**
 * PixelMed's template check of many files in one JVM: a path a line in, what is said of it out, then a line "done".
 *
 * The same check with the same options as DicomSRValidator's own main(), whose rules take seconds to compile. Java runs
 * this file as it is; nothing has to be compiled beforehand.
 */
public class TemplateCheck {
  public static void main(String[] none) throws Exception {
    System.setErr(System.out);
    DicomSRValidator validator = new DicomSRValidator();
    readContextGroupsOnce(validator);
    BufferedReader paths = new BufferedReader(new InputStreamReader(System.in));
    for (String path = paths.readLine(); path != null; path = paths.readLine()) {
      try {
        System.out.println(validator.validate(path, false, true, false, false, false));
      } catch (Exception failure) {
        System.out.println("Error: " + failure);
      }
      System.out.println("done");
    }
  }

  /** PixelMed's resolver gives its documents no name, so that each code of a report has all context groups read anew. */
  private static void readContextGroupsOnce(DicomSRValidator validator) throws Exception {
    Field field = DicomSRValidator.class.getDeclaredField("transformerPass1");
    field.setAccessible(true);
    Transformer firstPass = (Transformer) field.get(validator);
    URIResolver resolver = firstPass.getURIResolver();
    firstPass.setURIResolver((name, base) -> {
      Source document = resolver.resolve(name, base);
      document.setSystemId(name);
      return document;
    });
  }
}
