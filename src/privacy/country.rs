//! Countries: ISO 3166-1 codes, and those where GDPR, UK GDPR or the Swiss FADP may apply.

/// A country as its alpha-3 code in upper case.
pub type Alpha3 = [u8; 3];

/// Reads an alpha-3 code, or an alpha-2 code as some senders write it, in either case. `None` for anything that is not
/// assigned: an unknown code says nothing about where the user is.
pub fn alpha3(code: &str) -> Option<Alpha3> {
    match *code.as_bytes() {
        [a, b] => of_alpha2([a, b].map(|c| c.to_ascii_uppercase())),
        [a, b, c] => known([a, b, c].map(|c| c.to_ascii_uppercase())),
        _ => None,
    }
}

/// Whether European data protection law may apply there: EEA, United Kingdom and Switzerland with the territories that
/// share their law.
pub(super) fn is_european(country: Alpha3) -> bool {
    EUROPEAN.binary_search(&country).is_ok()
}

fn known(code: Alpha3) -> Option<Alpha3> {
    CODES.binary_search_by_key(&code, |&[a, b, c, ..]| [a, b, c]).ok().map(|_| code)
}

fn of_alpha2(code: [u8; 2]) -> Option<Alpha3> {
    match &code {
        b"UK" => return Some(*b"GBR"),
        b"EL" => return Some(*b"GRC"),
        // Geolocation databases say EU when they know the union but not the member: any member will do.
        b"EU" => return Some(*b"BEL"),
        _ => {}
    }
    CODES.iter().find(|&&[_, _, _, a, b]| [a, b] == code).map(|&[a, b, c, ..]| [a, b, c])
}

/// Sorted.
#[rustfmt::skip]
static EUROPEAN: [Alpha3; 45] = [
    *b"ALA", *b"AUT", *b"BEL", *b"BGR", *b"BLM", *b"CHE", *b"CYP", *b"CZE", *b"DEU",
    *b"DNK", *b"ESP", *b"EST", *b"FIN", *b"FRA", *b"GBR", *b"GGY", *b"GIB", *b"GLP",
    *b"GRC", *b"GUF", *b"HRV", *b"HUN", *b"IMN", *b"IRL", *b"ISL", *b"ITA", *b"JEY",
    *b"LIE", *b"LTU", *b"LUX", *b"LVA", *b"MAF", *b"MLT", *b"MTQ", *b"MYT", *b"NLD",
    *b"NOR", *b"POL", *b"PRT", *b"REU", *b"ROU", *b"SPM", *b"SVK", *b"SVN", *b"SWE",
];

/// ISO 3166-1: alpha-3 followed by alpha-2; sorted.
#[rustfmt::skip]
static CODES: [[u8; 5]; 249] = [
    *b"ABWAW", *b"AFGAF", *b"AGOAO", *b"AIAAI", *b"ALAAX", *b"ALBAL", *b"ANDAD", *b"AREAE", *b"ARGAR",
    *b"ARMAM", *b"ASMAS", *b"ATAAQ", *b"ATFTF", *b"ATGAG", *b"AUSAU", *b"AUTAT", *b"AZEAZ", *b"BDIBI",
    *b"BELBE", *b"BENBJ", *b"BESBQ", *b"BFABF", *b"BGDBD", *b"BGRBG", *b"BHRBH", *b"BHSBS", *b"BIHBA",
    *b"BLMBL", *b"BLRBY", *b"BLZBZ", *b"BMUBM", *b"BOLBO", *b"BRABR", *b"BRBBB", *b"BRNBN", *b"BTNBT",
    *b"BVTBV", *b"BWABW", *b"CAFCF", *b"CANCA", *b"CCKCC", *b"CHECH", *b"CHLCL", *b"CHNCN", *b"CIVCI",
    *b"CMRCM", *b"CODCD", *b"COGCG", *b"COKCK", *b"COLCO", *b"COMKM", *b"CPVCV", *b"CRICR", *b"CUBCU",
    *b"CUWCW", *b"CXRCX", *b"CYMKY", *b"CYPCY", *b"CZECZ", *b"DEUDE", *b"DJIDJ", *b"DMADM", *b"DNKDK",
    *b"DOMDO", *b"DZADZ", *b"ECUEC", *b"EGYEG", *b"ERIER", *b"ESHEH", *b"ESPES", *b"ESTEE", *b"ETHET",
    *b"FINFI", *b"FJIFJ", *b"FLKFK", *b"FRAFR", *b"FROFO", *b"FSMFM", *b"GABGA", *b"GBRGB", *b"GEOGE",
    *b"GGYGG", *b"GHAGH", *b"GIBGI", *b"GINGN", *b"GLPGP", *b"GMBGM", *b"GNBGW", *b"GNQGQ", *b"GRCGR",
    *b"GRDGD", *b"GRLGL", *b"GTMGT", *b"GUFGF", *b"GUMGU", *b"GUYGY", *b"HKGHK", *b"HMDHM", *b"HNDHN",
    *b"HRVHR", *b"HTIHT", *b"HUNHU", *b"IDNID", *b"IMNIM", *b"INDIN", *b"IOTIO", *b"IRLIE", *b"IRNIR",
    *b"IRQIQ", *b"ISLIS", *b"ISRIL", *b"ITAIT", *b"JAMJM", *b"JEYJE", *b"JORJO", *b"JPNJP", *b"KAZKZ",
    *b"KENKE", *b"KGZKG", *b"KHMKH", *b"KIRKI", *b"KNAKN", *b"KORKR", *b"KWTKW", *b"LAOLA", *b"LBNLB",
    *b"LBRLR", *b"LBYLY", *b"LCALC", *b"LIELI", *b"LKALK", *b"LSOLS", *b"LTULT", *b"LUXLU", *b"LVALV",
    *b"MACMO", *b"MAFMF", *b"MARMA", *b"MCOMC", *b"MDAMD", *b"MDGMG", *b"MDVMV", *b"MEXMX", *b"MHLMH",
    *b"MKDMK", *b"MLIML", *b"MLTMT", *b"MMRMM", *b"MNEME", *b"MNGMN", *b"MNPMP", *b"MOZMZ", *b"MRTMR",
    *b"MSRMS", *b"MTQMQ", *b"MUSMU", *b"MWIMW", *b"MYSMY", *b"MYTYT", *b"NAMNA", *b"NCLNC", *b"NERNE",
    *b"NFKNF", *b"NGANG", *b"NICNI", *b"NIUNU", *b"NLDNL", *b"NORNO", *b"NPLNP", *b"NRUNR", *b"NZLNZ",
    *b"OMNOM", *b"PAKPK", *b"PANPA", *b"PCNPN", *b"PERPE", *b"PHLPH", *b"PLWPW", *b"PNGPG", *b"POLPL",
    *b"PRIPR", *b"PRKKP", *b"PRTPT", *b"PRYPY", *b"PSEPS", *b"PYFPF", *b"QATQA", *b"REURE", *b"ROURO",
    *b"RUSRU", *b"RWARW", *b"SAUSA", *b"SDNSD", *b"SENSN", *b"SGPSG", *b"SGSGS", *b"SHNSH", *b"SJMSJ",
    *b"SLBSB", *b"SLESL", *b"SLVSV", *b"SMRSM", *b"SOMSO", *b"SPMPM", *b"SRBRS", *b"SSDSS", *b"STPST",
    *b"SURSR", *b"SVKSK", *b"SVNSI", *b"SWESE", *b"SWZSZ", *b"SXMSX", *b"SYCSC", *b"SYRSY", *b"TCATC",
    *b"TCDTD", *b"TGOTG", *b"THATH", *b"TJKTJ", *b"TKLTK", *b"TKMTM", *b"TLSTL", *b"TONTO", *b"TTOTT",
    *b"TUNTN", *b"TURTR", *b"TUVTV", *b"TWNTW", *b"TZATZ", *b"UGAUG", *b"UKRUA", *b"UMIUM", *b"URYUY",
    *b"USAUS", *b"UZBUZ", *b"VATVA", *b"VCTVC", *b"VENVE", *b"VGBVG", *b"VIRVI", *b"VNMVN", *b"VUTVU",
    *b"WLFWF", *b"WSMWS", *b"YEMYE", *b"ZAFZA", *b"ZMBZM", *b"ZWEZW",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_agree() {
        assert!(CODES.is_sorted() && EUROPEAN.is_sorted());
        assert!(EUROPEAN.iter().all(|&code| known(code).is_some()));
    }

    #[test]
    fn both_code_lengths_and_cases_are_read() {
        assert_eq!(alpha3("DEU"), Some(*b"DEU"));
        assert_eq!(alpha3("de"), Some(*b"DEU"));
        assert_eq!(alpha3("uk"), Some(*b"GBR"));
        assert_eq!(alpha3("CH"), Some(*b"CHE"));
    }

    #[test]
    fn what_is_not_assigned_is_no_country() {
        for text in ["", "D", "ZZZ", "XX", "Germany", "D\u{e9}", "U S"] {
            assert_eq!(alpha3(text), None, "{text}");
        }
    }

    #[test]
    fn europe_ends_where_its_law_ends() {
        for code in ["FRA", "GBR", "CHE", "NOR", "GLP", "GIB", "EU"] {
            assert!(alpha3(code).is_some_and(is_european), "{code}");
        }
        for code in ["USA", "CAN", "TUR", "UKR", "SRB", "RUS", "BRA"] {
            assert!(!alpha3(code).is_some_and(is_european), "{code}");
        }
    }
}
