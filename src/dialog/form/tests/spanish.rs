//! En español.

use super::Phone;
use serde_json::json;

#[test]
fn un_afiliado_cubierto() {
    let mut phone = Phone::rings("eligibility-es", None);
    phone.holds(&[
        (
            "Hola, quería saber si me cubre el seguro una resonancia.",
            &["número de afiliado"],
        ),
        ("M B 1 2 3 4 5 6", &["fecha de nacimiento"]),
        (
            "El 15 de marzo de 1985.",
            &[
                "M B, 1 2 3, 4 5 6",
                "15 de marzo de 1985",
                "una resonancia",
                "¿Es correcto?",
            ],
        ),
        (
            "Sí, correcto.",
            &[
                "Gold PPO",
                "50 dólares",
                "20 por ciento",
                "1,050 dólares",
                "Hace falta autorización",
                "¿Puedo ayudarle en algo más?",
            ],
        ),
        ("No, nada más, gracias.", &["Adiós"]),
    ]);
    let asked = json!({ "member_id": "MB123456", "date_of_birth": "1985-03-15", "procedure": "mri" });
    assert_eq!(phone.args("check_eligibility"), asked);
    assert!(phone.ends());
}

#[test]
fn un_afiliado_que_corrige_la_fecha() {
    let mut phone = Phone::rings("eligibility-es", None);
    phone.holds(&[
        ("¿Está cubierto un medicamento?", &["número de afiliado"]),
        ("MB345678", &["fecha de nacimiento"]),
        ("El 13 de noviembre de 1975.", &["13 de noviembre", "¿Es correcto?"]),
        (
            "No.",
            &["¿Qué parte no es correcta? El número de afiliado, la fecha de nacimiento, o el procedimiento?"],
        ),
        ("La fecha de nacimiento.", &["fecha de nacimiento"]),
        ("30 de noviembre de 1975", &["30 de noviembre de 1975", "¿Es correcto?"]),
        ("Sí.", &["ha terminado, el 31 de diciembre de 2025"]),
    ]);
}

#[test]
fn un_cliente_conocido() {
    let mut phone = Phone::rings("service-request-es", None);
    phone.holds(&[
        (
            "Hola, tengo una fuga de agua debajo del fregadero.",
            &["número de cliente"],
        ),
        ("4 8 2 6 1 5.", &["Gracias, Dana Whitfield", "dirección"]),
        ("Calle Mayor 12, piso 3.", &["urgencia"]),
        (
            "Es urgente.",
            &[
                "Fontanería para Dana Whitfield",
                "Calle Mayor 12",
                "fuga de agua",
                "urgente",
                "¿Lo envío?",
            ],
        ),
        ("Sí, por favor.", &["registrada", "5 0 0, 0 0 1"]),
        ("No, gracias.", &["Adiós"]),
    ]);
    let order = phone.args("create_task_order");
    assert_eq!(order["customer_number"], "482615");
    assert_eq!(order["service_type"], "plumbing");
    assert_eq!(order["urgency"], "urgent");
    assert_eq!(order["location"], "Calle Mayor 12, piso 3");
}

#[test]
fn un_cliente_nuevo_que_cambia_la_urgencia() {
    let mut phone = Phone::rings("service-request-es", Some("+12125550177"));
    phone.holds(&[
        (
            "El radiador del dormitorio no funciona desde ayer por la tarde.",
            &["número de cliente"],
        ),
        ("No tengo.", &["nombre"]),
        ("Me llamo Carmen Ruiz.", &["dirección"]),
        ("Avenida Central 45.", &["urgencia"]),
        ("Normal.", &["Calefacción para Carmen Ruiz", "La urgencia es normal"]),
        ("Sí, pero ponga urgente.", &["La urgencia es urgente", "¿Lo envío?"]),
        ("Sí.", &["1 0 0, 0 0 4", "5 0 0, 0 0 1"]),
    ]);
    let customer = phone.args("create_customer");
    assert_eq!(customer["name"], "Carmen Ruiz");
    assert_eq!(
        customer["phone"], "+12125550177",
        "the number they call from was not asked"
    );
    assert_eq!(phone.args("create_task_order")["urgency"], "urgent");
}

#[test]
fn un_cliente_al_que_conocemos_por_su_telefono() {
    let mut phone = Phone::rings("service-request-es", Some("+12125550101"));
    phone.holds(&[
        (
            "Necesito un electricista.",
            &["He encontrado su cuenta", "Describa el problema"],
        ),
        ("El enchufe de la cocina echa chispas.", &["dirección"]),
        ("¿Cuánto cuesta?", &["No puedo decirle un precio", "dirección"]),
        ("Calle Mayor 12.", &["urgencia"]),
        ("¿Puede repetir?", &["¿Qué urgencia tiene"]),
        ("Lo antes posible.", &["Electricidad para Dana Whitfield", "urgente"]),
        ("Sí.", &["5 0 0, 0 0 1"]),
    ]);
}

#[test]
fn quien_quiere_una_persona_la_tiene() {
    let mut phone = Phone::rings("service-request-es", None);
    phone.holds(&[
        ("Hay un problema con la luz del pasillo.", &["número de cliente"]),
        ("Prefiero hablar con una persona.", &["Una persona de nuestro equipo"]),
    ]);
    assert!(phone.is_handed_over());
}

#[test]
fn lo_que_empieza_por_no_puede_ser_una_descripcion() {
    let mut phone = Phone::rings("service-request-es", None);
    phone.holds(&[
        ("Se ha roto la caldera.", &["número de cliente"]),
        ("482615", &["Dana Whitfield", "Describa"]),
        ("No calienta el agua desde ayer.", &["dirección"]),
        ("Calle Mayor 12.", &["urgencia"]),
        (
            "Urgente.",
            &["Calefacción", "No calienta el agua desde ayer. La urgencia"],
        ),
    ]);
}

#[test]
fn el_ultimo_es_un_seis() {
    let mut phone = Phone::rings("eligibility-es", None);
    phone.holds(&[
        (
            "MB123457 nacido el 15 de marzo de 1985, para una resonancia.",
            &["4 5 7", "¿Es correcto?"],
        ),
        ("No, el último es un 6.", &["M B, 1 2 3, 4 5 6", "¿Es correcto?"]),
        ("El número está mal.", &["¿Qué parte no es correcta?"]),
        ("El último.", &["¿Es para una resonancia"]),
    ]);
}
